#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Whatever can be seen to be wrong is refused by sbatch, with a text that says what to write.
load helper
setup_file() { cluster_up && make_btrfs; }
teardown_file() { cluster_down; }

@test "a time that is none" {
  refused '--vm-checkpoint: invalid time "banana" (write for example' --vm-checkpoint=banana job.sh
  refused '--vm-checkpoint: invalid time "0"' --vm-checkpoint=0 job.sh
  refused '--vm-checkpoint: an interval of 1 s is too short; write 5s or more' --vm-checkpoint=1s job.sh
}

@test "a word that is none" {
  refused 'auto chooses by itself' --vm-checkpoint=automatic job.sh
}

@test "a wrong value in an #SBATCH line" {
  printf '#!/bin/bash\n#SBATCH --vm-checkpoint=soon\n' >"$TEST_DIR/work/bad.sh"
  refused 'invalid time "soon"' bad.sh
}

@test "a wrong value in an environment twin" {
  export TLC_VM_CHECKPOINT=soon
  refused 'TLC_VM_CHECKPOINT: invalid time "soon"' job.sh
}

@test "options without --vm-checkpoint are named" {
  refused '--vm-image, --vm-memory without --vm-checkpoint' --vm-image=x --vm-memory=1G job.sh
}

@test "images" {
  refused '--vm-image: cannot find' --vm-checkpoint=10m --vm-image=missing job.sh
  refused 'is not a file' --vm-checkpoint=10m --vm-image=. job.sh
  install -m 0600 /dev/null "$TEST_DIR/work/private"
  refused 'you may not read' --vm-checkpoint=10m --vm-image=private job.sh
}

@test "checkpoint directories" {
  refused '--vm-checkpoint-dir: cannot find' --vm-checkpoint=10m --vm-checkpoint-dir=missing job.sh
  refused 'is not a directory' --vm-checkpoint=10m --vm-checkpoint-dir=job.sh job.sh
  refused 'you may not write into' --vm-checkpoint=10m --vm-checkpoint-dir=/etc job.sh
}

@test "a full checkpoint file system" {
  head -c 1G /dev/urandom >"$TEST_DIR/btrfs/fill" 2>/dev/null || true
  sync -f "$TEST_DIR/btrfs"
  refused 'at least 64.0 MiB are needed' --vm-checkpoint=10m --vm-checkpoint-dir="$TEST_DIR/btrfs" job.sh
  rm "$TEST_DIR/btrfs/fill"
  sync -f "$TEST_DIR/btrfs"
}

@test "numbers and sizes" {
  refused '--vm-checkpoint-keep: 1 is too few' --vm-checkpoint=10m --vm-checkpoint-keep=1 job.sh
  refused '--vm-checkpoint-keep: invalid number "x"' --vm-checkpoint=10m --vm-checkpoint-keep=x job.sh
  refused '--vm-checkpoint-buffer: 1.0 MiB is too small; write 64M' --vm-checkpoint=10m --vm-checkpoint-buffer=1M job.sh
  refused '--vm-memory: invalid size "big" (write for example' --vm-checkpoint=10m --vm-memory=big job.sh
  refused '--vm-checkpoint-buffer: 1.0 GiB is more than' --vm-checkpoint=10m --vm-memory=512M --vm-checkpoint-buffer=1G job.sh
}

@test "memory that the job would not have" {
  refused "--vm-memory: 2.0 GiB is more than the job's memory (1.0 GiB)" --vm-checkpoint=10m --mem=1G --vm-memory=2G job.sh
  refused "are more than the job's memory (1.0 GiB)" --vm-checkpoint=10m --mem=1G --vm-memory=1000M --vm-checkpoint-buffer=64M job.sh
  # What the site gives by default is not known yet.
  run -0 as_user sbatch --parsable --hold --vm-checkpoint=10m --vm-memory=4G job.sh
  scancel "$output"
}

@test "files to stage" {
  refused '--vm-stage-in: cannot read missing' --vm-checkpoint=10m --vm-stage-in=missing job.sh
  refused 'is an absolute path' --vm-checkpoint=10m --vm-stage-in=/etc/passwd job.sh
  refused 'leaves the submit directory' --vm-checkpoint=10m --vm-stage-out=../x job.sh
  refused 'empty path' --vm-checkpoint=10m --vm-stage-in=a,,b job.sh
}

@test "more than one node" {
  refused '--nodes=2 may be several nodes, but a VM runs on one; write --nodes=1' -N 2 --vm-checkpoint=10m job.sh
  refused '--nodes=1-2 may be several' --nodes=1-2 --vm-checkpoint=10m job.sh
  refused 'write --nodes=1' -n 2 --ntasks-per-node=1 --nodes=2 --vm-checkpoint=10m job.sh
  printf '#!/bin/bash\n#SBATCH -N 2\n#SBATCH --vm-checkpoint=10m\n' >"$TEST_DIR/work/two.sh"
  refused '--nodes=2 may be several' two.sh
  # The command line beats the line in the script.
  submit -N 1 two.sh
  [ "$state" = "JobState=COMPLETED ExitCode=0:0" ]
  submit --vm-checkpoint=off two.sh
  [ "$state" = "JobState=COMPLETED ExitCode=0:0" ]
}

@test "tasks that Slurm may spread over nodes are told of" {
  submit -n 2 --vm-checkpoint=10m job.sh
  [[ $output == *'--ntasks=2 without --nodes=1: Slurm may spread the tasks'* ]]
  submit -n 2 -N 1 --vm-checkpoint=10m job.sh
  [[ $output != *tlc:* ]]
  submit -n 2 job.sh
  [[ $output != *tlc:* ]]
}

@test "heterogeneous jobs, whichever component asks for a VM" {
  local text='heterogeneous jobs are not supported (this one has 2 components); submit the components as jobs of their own'
  refused "$text" --vm-checkpoint=10m : job.sh
  refused "$text" -n 1 : --vm-checkpoint=10m job.sh
  printf '#!/bin/bash\n#SBATCH --vm-checkpoint=10m\n#SBATCH hetjob\n#SBATCH -n 1\n' >"$TEST_DIR/work/het.sh"
  refused "$text" het.sh
  export TLC_VM_CHECKPOINT=10m
  refused "$text" -n 1 : -n 1 job.sh
  unset TLC_VM_CHECKPOINT
  run as_user sbatch --parsable --hold -n 1 : -n 1 job.sh
  [ "$status" = 0 ]
  scancel "${lines[-1]%%;*}"
}

@test "a job that is not requeued: told, and refused where it could not continue" {
  local text='with --no-requeue the job is not started again when its node dies'
  submit --no-requeue --vm-checkpoint=10m job.sh
  [[ $output == *"$text"*'tlc-restart run'* ]]
  printf '#!/bin/bash\n#SBATCH --no-requeue\n' >"$TEST_DIR/work/once.sh"
  submit --vm-checkpoint=10m once.sh
  [[ $output == *"$text"* ]]
  submit --requeue --vm-checkpoint=10m once.sh
  [[ $output != *tlc:* ]]
  submit --no-requeue job.sh
  [[ $output != *tlc:* ]]
  refused '--vm-checkpoint-continue: with --no-requeue Slurm does not start the job again' \
    --no-requeue --vm-checkpoint-continue --vm-checkpoint=10m job.sh
}

@test "salloc has no batch script" {
  run as_user salloc --vm-checkpoint=10m true
  [ "$status" -ne 0 ]
  [[ $output == *"works with sbatch only"* ]]
}

@test "the options are in the help" {
  run as_user sbatch --help
  [[ $output == *--vm-checkpoint=time* ]]
  [[ $output == *--vm-stage-out=paths* ]]
}
