#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Jobs that do not ask for a VM must not notice the plugin, even one with wrong arguments.
load helper
setup_file() { cluster_up colour=red; }
teardown_file() { cluster_down; }

@test "an ordinary job runs its script and keeps its exit code" {
  submit job.sh 0 x
  [ "$state" = "JobState=COMPLETED ExitCode=0:0" ]
  in_output 'script: 0 x'
  submit job.sh 9
  [ "$state" = "JobState=FAILED ExitCode=9:0" ]
}

@test "its environment holds nothing of the plugin" {
  submit --wrap 'env; ls -l /proc/self/fd'
  not_in_output TLC_JOB_REQUEST
  not_in_output SLURM_TLC_REQUEST
  not_in_output userfaultfd
}

@test "environment twins without an interval change nothing" {
  export TLC_VM_MEMORY=banana TLC_VM_CHECKPOINT_DIR=/nowhere
  submit job.sh
  [ "$state" = "JobState=COMPLETED ExitCode=0:0" ]
}

@test "--vm-checkpoint=off runs the script, beats the twin and names what it ignores" {
  export TLC_VM_CHECKPOINT=10m
  submit --vm-checkpoint=off --vm-memory=1G job.sh
  [[ $output == *"--vm-memory has no effect with --vm-checkpoint=off"* ]]
  in_output 'script: '
}

@test "srun and salloc" {
  run as_user srun true
  [ "$status" = 0 ]
  run as_user salloc srun true
  [ "$status" = 0 ]
  submit --wrap 'srun bash -c "echo step \$SLURM_STEP_ID"'
  in_output 'step 0'
}

@test "an array" {
  submit --array=1-3 --output=array-%a job.sh
  [ "$state" = "JobState=COMPLETED ExitCode=0:0" ]
  [ "$(cat "$TEST_DIR"/work/array-[123] | grep -c script:)" = 3 ]
}

@test "a wrong plugin argument refuses only the jobs that use the plugin" {
  refused 'unknown argument "colour=red"' --vm-checkpoint=10m job.sh
  nodes_usable
}
