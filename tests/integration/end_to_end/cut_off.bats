#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154,SC2164
# Slurm gives a job to another node while the copy it lost sight of lives on: never do two compute, in the job's
# output each line is there once and of one life. TLC_CUTS=20: the first cut is repeated so often (1).
bats_require_minimum_version 1.5.0
load helper
load cluster_helper

# On two nodes, so that it is known where it goes next.
start() { submit --exclude="$(third_node)" "$@" job.sh "$lines" 0.5 0; }
lines=60

first_copy() { pgrep -f "qemu.*$TEST_DIR/checkpoints/[a-z0-9]*-$1/live-1/"; }
no_first_copy() { ! first_copy "$1" >/dev/null; }
all_idle() { [ "$(sinfo -h -N -p low -o %t | grep -cx idle)" = 3 ]; }

@test "cut off: the copy there stands still before another one begins, and ends when the network is back" {
  local job node other n
  for n in $(seq "${TLC_CUTS:-1}"); do
    begin 120
    slurm_cluster cut "$node"
    until_true 120 grep -qs 'info restored' "$(log_of "$job")" || { show "$job"; return 1; }
    # Both copies are there, one of them stands still.
    [ "$(first_copy "$job" | wc -l)" = 1 ]
    [ "$(ps -o stat= -p "$(first_copy "$job")" | cut -c1)" = T ]
    sleep $((RANDOM % 5))
    slurm_cluster heal "$node"
    until_true 60 no_first_copy "$job" || { show "$job"; return 1; }
    # The node may have the job again.
    other=$(field "$job" NodeList)
    until_true 60 eval '[ "$(sinfo -h -n "$node" -p low -o %t)" = idle ]'
    scontrol update nodename="$other" state=drain reason=test
    as_user scontrol requeue "$job"
    until_true 60 eval '[ "$(grep -c "info restored" "$(log_of "$job")")" = 2 ]' || { show "$job"; scontrol show job "$job"; return 1; }
    [ "$(field "$job" NodeList)" = "$node" ]
    scontrol update nodename="$other" state=resume
    whole "$job" 120
    [ "$(time_of "$job" 'stands still')" -lt "$(time_of "$job" 'restored checkpoint')" ]
    until_true 120 all_idle
    echo "cut $n: stood still $(($(time_of "$job" 'restored checkpoint') - $(time_of "$job" 'stands still'))) s before the next began" >>"$TLC_RESULTS/cuts"
  done
}

@test "its QEMU dies, or the script ends, while cut off: nothing is done until slurmctld says whose the job is" {
  local job node
  begin 80
  slurm_cluster cut "$node"
  kill -9 "$(first_copy "$job")"
  until_true 30 grep -qs 'waiting for slurmctld' "$(log_of "$job")" || { show "$job"; return 1; }
  until_true 120 grep -qs 'info restored' "$(log_of "$job")" || { show "$job"; return 1; }
  slurm_cluster heal "$node"
  whole "$job" 80
  # Of the copy that was cut off, and of the one after it.
  [ "$(grep -cE 'info (booted|restored)' "$(log_of "$job")")" = 2 ]
  until_true 120 all_idle

  begin 22
  slurm_cluster cut "$node"
  until_true 60 grep -qs 'script ended code=0' "$(log_of "$job")" || { show "$job"; return 1; }
  slurm_cluster heal "$node"
  whole "$job" 22
  [ "$(grep -c 'info finished code=0' "$(log_of "$job")")" = 1 ]
  until_true 120 all_idle
}

@test "cut off for a moment: the VM stands still and goes on" {
  local job node
  job=$(start --vm-checkpoint=1h)
  until_true 120 nth_line "$job" 3 || { show "$job"; return 1; }
  node=$(field "$job" NodeList)
  slurm_cluster cut "$node"
  until_true 60 grep -qs 'stands still' "$(log_of "$job")" || { show "$job"; return 1; }
  slurm_cluster heal "$node"
  whole "$job" 60
  grep -q 'the VM goes on' "$(log_of "$job")"
  run ! grep -q 'info restored' "$(log_of "$job")"
}

@test "slurmd dies, the job stays: the copy there ends before another one begins" {
  local job node
  begin 80
  slurm_cluster slurmd-off "$node"
  until_true 120 grep -qs 'info restored' "$(log_of "$job")" || { show "$job"; return 1; }
  no_first_copy "$job"
  slurm_cluster slurmd-on "$node"
  whole "$job" 80
  until_true 120 all_idle
}

@test "an administrator sets a node that is cut off DOWN: the next copy waits until the first stands still" {
  local job node
  begin 80
  slurm_cluster cut "$node"
  slurm_cluster down "$node"
  until_true 120 grep -qs 'info restored' "$(log_of "$job")" || { show "$job"; return 1; }
  [ "$(time_of "$job" 'stands still')" -le "$(time_of "$job" 'restored checkpoint')" ]
  slurm_cluster heal "$node"
  scontrol update nodename="$node" state=resume
  whole "$job" 80
  until_true 120 all_idle
}

# No thread of the process computes: each is stopped, or waits in the kernel for the disk.
stands_still() { [ -z "$(cat "/proc/$1"/task/*/stat 2>/dev/null | sed 's/.*) //' | cut -c1 | tr -d 'TD\n')" ]; }

@test "the checkpoint directory hangs: the job goes on with it; and cut off meanwhile, the VM stands still all the same" {
  local job node vm
  job=$(start --vm-checkpoint=6s)
  until_true 120 job_has_taken "$job" 1 || { show "$job"; return 1; }
  fsfreeze -f "$TEST_DIR/checkpoints"
  sleep 9
  fsfreeze -u "$TEST_DIR/checkpoints"
  until_true 60 job_has_taken "$job" 2 || { show "$job"; return 1; }
  run ! grep -q 'info restored' "$(log_of "$job")"
  node=$(field "$job" NodeList)
  vm=$(first_copy "$job")
  fsfreeze -f "$TEST_DIR/checkpoints"
  slurm_cluster cut "$node"
  until_true 20 stands_still "$vm" || { fsfreeze -u "$TEST_DIR/checkpoints"; return 1; }
  sleep 2
  stands_still "$vm" || { fsfreeze -u "$TEST_DIR/checkpoints"; return 1; }
  fsfreeze -u "$TEST_DIR/checkpoints"
  slurm_cluster heal "$node"
  whole "$job" 60
  until_true 120 all_idle
}
