#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What the launcher finds when it is started in the batch script's place.
load helper
setup_file() { cluster_up "config=$BATS_FILE_TMPDIR/tlc.toml" && make_btrfs; }
teardown_file() { cluster_down; }

@test "it takes the script's place, with its arguments, as the user" {
  submit --vm-checkpoint=10m job.sh one 'two words'
  [ "$state" = "JobState=COMPLETED ExitCode=0:0" ]
  in_output "launcher: $TEST_DIR/stand_in_launcher"
  in_output 'argument: one'
  in_output 'argument: two words'
  in_output "uid: $(id -u "$test_user")"
  in_output 'script is readable'
  in_output "TLC_SCRIPT=$TEST_DIR/cluster/spool/"
  in_output "TLC_CONFIG=$BATS_FILE_TMPDIR/tlc.toml"
  not_in_output 'script: '
}

@test "its exit code is the job's" {
  submit --vm-checkpoint=10m job.sh exit=7
  [ "$state" = "JobState=FAILED ExitCode=7:0" ]
  nodes_usable
}

@test "the request arrives whole, with absolute paths" {
  touch "$TEST_DIR/work/image" "$TEST_DIR/work/data file"
  submit --vm-checkpoint=90s --vm-image=image --vm-checkpoint-dir="$TEST_DIR/btrfs" --vm-checkpoint-keep=3 \
    --vm-checkpoint-buffer=128M --vm-memory=256M --vm-stage-in='data file,image' --vm-stage-out=none job.sh
  in_output 'TLC_JOB_REQUEST=interval=90'
  in_output "image=$TEST_DIR/work/image"
  in_output "checkpoint_dir=$TEST_DIR/btrfs"
  in_output 'keep=3'
  in_output "buffer=$((128 << 20))"
  in_output "memory=$((256 << 20))"
  in_output 'stage_in=data file,image'
  in_output 'stage_out=none'
}

@test "nothing of the transport is left for jobs submitted from inside" {
  submit --vm-checkpoint=10m job.sh
  not_in_output SLURM_TLC_REQUEST
  not_in_output _SLURM_SPANK_OPTION_tlc
}

@test "a job that is submitted from inside does not have the options of the one around it" {
  # As Slurm leaves them where the plugin could not take them away.
  left_over() { as_user env SLURM_SPANK__SLURM_SPANK_OPTION_tlc_vm_checkpoint=11m SLURM_TLC_REQUEST=interval=660 "$@"; }
  printf '#!/bin/bash\nsbatch --parsable --wait --output=inner "$@" job.sh\n' >"$TEST_DIR/work/outer.sh"
  submit --vm-checkpoint=off --export=ALL,SLURM_SPANK__SLURM_SPANK_OPTION_tlc_vm_checkpoint=11m outer.sh
  [ "$state" = "JobState=COMPLETED ExitCode=0:0" ]
  grep -q 'script: ' "$TEST_DIR/work/inner"
  rm "$TEST_DIR/work/inner"
  left_over env SLURM_JOB_ID="$job" sbatch --wait --output=inner job.sh
  grep -q 'script: ' "$TEST_DIR/work/inner"
  # Outside of a job they are a user's defaults.
  left_over sbatch --wait --output=inner job.sh
  grep -q 'TLC_JOB_REQUEST=interval=660' "$TEST_DIR/work/inner"
  # An ordinary job may submit one with a VM, and the other way round nothing is left.
  submit outer.sh --vm-checkpoint=12m
  grep -q 'TLC_JOB_REQUEST=interval=720' "$TEST_DIR/work/inner"
}

@test "#SBATCH lines count, the command line beats them" {
  printf '#!/bin/bash\n#SBATCH --vm-checkpoint=7m\n#SBATCH --vm-memory=256M\n' >"$TEST_DIR/work/lines.sh"
  submit lines.sh
  in_output 'TLC_JOB_REQUEST=interval=420'
  in_output "memory=$((256 << 20))"
  submit --vm-checkpoint=8m lines.sh
  in_output 'TLC_JOB_REQUEST=interval=480'
}

@test "environment twins alone reach the node, options beat them" {
  export TLC_VM_CHECKPOINT=6m TLC_VM_MEMORY=300M
  submit job.sh
  in_output 'TLC_JOB_REQUEST=interval=360'
  in_output "memory=$((300 << 20))"
  submit --vm-memory=400M job.sh
  in_output "memory=$((400 << 20))"
}

@test "--export=NONE and --export=VARIABLE lose nothing" {
  submit --export=NONE --vm-checkpoint=7m job.sh
  in_output 'TLC_JOB_REQUEST=interval=420'
  submit --export=HOME --vm-checkpoint=8m job.sh
  in_output 'TLC_JOB_REQUEST=interval=480'
  export TLC_VM_CHECKPOINT=9m
  submit --export=NONE job.sh
  in_output 'TLC_JOB_REQUEST=interval=540'
}

@test "twins set for the job only are checked on the node" {
  submit --export=ALL,TLC_VM_CHECKPOINT=6m job.sh
  in_output 'TLC_JOB_REQUEST=interval=360'
  submit --export=ALL,TLC_VM_CHECKPOINT=soon job.sh
  [ "$state" = "JobState=FAILED ExitCode=1:0" ]
  in_output 'TLC_VM_CHECKPOINT: invalid time "soon"'
  nodes_usable
}

@test "what only root may see is not told" {
  mkdir -m 700 "$TEST_DIR/hidden" && touch "$TEST_DIR/hidden/there"
  for name in there missing; do
    submit --export="ALL,TLC_VM_CHECKPOINT=6m,TLC_VM_IMAGE=$TEST_DIR/hidden/$name" job.sh
    [ "$state" = "JobState=FAILED ExitCode=1:0" ]
    in_output "cannot find $TEST_DIR/hidden/$name (Permission denied)"
  done
}

@test "the devices are open" {
  [ -e /dev/userfaultfd ] || skip "this kernel has no /dev/userfaultfd"
  submit --vm-checkpoint=10m job.sh
  in_output 'userfaultfd: /dev/userfaultfd'
}

@test "a job on two nodes fails with the reason, the node stays usable" {
  # Nobody has said how many nodes; each has two processors.
  submit --ntasks=4 --vm-checkpoint=10m job.sh
  [ "$state" = "JobState=FAILED ExitCode=1:0" ]
  in_output 'write --nodes=1'
  nodes_usable
}

@test "an array" {
  submit --array=1-2 --output=array-%a --vm-checkpoint=10m job.sh
  [ "$state" = "JobState=COMPLETED ExitCode=0:0" ]
  [ "$(cat "$TEST_DIR"/work/array-[12] | grep -c TLC_JOB_REQUEST=interval=600)" = 2 ]
}

@test "the steps of such a job are left alone" {
  cat >"$TEST_DIR/stand_in_launcher.new" <<'EOF'
#!/bin/bash
srun bash -c 'echo "step $SLURM_STEP_ID"'
EOF
  cp -a "$TEST_DIR/stand_in_launcher" "$TEST_DIR/kept"
  cat "$TEST_DIR/stand_in_launcher.new" >"$TEST_DIR/stand_in_launcher"
  submit --vm-checkpoint=10m job.sh
  mv "$TEST_DIR/kept" "$TEST_DIR/stand_in_launcher"
  in_output 'step 0'
}

@test "requeued on the death of its node, the request is there again" {
  local node id
  cat >"$TEST_DIR/stand_in_launcher" <<'EOF'
#!/bin/bash
echo "start ${SLURM_RESTART_COUNT:-0} on $SLURMD_NODENAME ${TLC_JOB_REQUEST%%$'\n'*}" >>starts
[ -n "$SLURM_RESTART_COUNT" ] || sleep 300
EOF
  id=$(as_user sbatch --parsable --vm-checkpoint=10m job.sh)
  for _ in $(seq 100); do [ -s "$TEST_DIR/work/starts" ] && break; sleep 0.1; done
  node=$(squeue -h -j "$id" -o %N)
  # slurmctld 24.11 takes up to a second to act on the node's answer to the launch; after "down" that would bring the
  # node back, and the job would be started on the dead node once more.
  sleep 3
  "$cluster" power-off "$node" --dir "$TEST_DIR/cluster"
  "$cluster" down "$node" --dir "$TEST_DIR/cluster"
  for _ in $(seq 300); do
    [ "$(wc -l <"$TEST_DIR/work/starts")" = 2 ] && break
    sleep 0.1
  done
  cat "$TEST_DIR/work/starts"
  grep -q "start 0 on $node interval=600" "$TEST_DIR/work/starts"
  grep "start 1 on " "$TEST_DIR/work/starts" | grep -v "on $node " | grep -q interval=600
}
