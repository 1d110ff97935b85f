#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154,SC2164
# Every way Slurm can interrupt a job, in a real cluster: what is lost is told by the job's own output, in which
# each line is there once and of one life. TLC_CUTS=20: the cut is repeated so often (1).
bats_require_minimum_version 1.5.0
load helper
load cluster_helper

# One job takes three minutes of waiting for its time limit. It has the third node, everything else the others.
setup_file() {
  cluster_file_up
  "$support/cluster" name n3 --dir "$CLUSTER_DIR/cluster" >"$TEST_DIR/third"
  submit --vm-checkpoint=1h --vm-checkpoint-continue --time=1 --nodelist="$(cat "$TEST_DIR/third")" job.sh 18 5 0 >"$TEST_DIR/limited"
}

start() { submit --exclude="$(cat "$TEST_DIR/third")" "$@" job.sh "$lines" 0.5 0; }
lines=60

nth_line() { grep -qs "^$2 " "$TEST_DIR/job/job-$1.out"; }
# The time of the first line of the job's log with these words, in seconds.
time_of() { date -d "$(grep -m 1 -- "$2" "$(log_of "$1")" | cut -d' ' -f1)" +%s; }
whole() { # whole JOB LINES: it has completed, its output whole
  until_true 240 ended "$1" || { show "$1"; return 1; }
  show "$1"
  [ "$(field "$1" JobState)" = COMPLETED ]
  one_life "$TEST_DIR/job/job-$1.out" "$2"
}
first_copy() { pgrep -f "qemu.*$TEST_DIR/checkpoints/[a-z0-9]*-$1/live-1/"; }
no_first_copy() { ! first_copy "$1" >/dev/null; }
all_idle() { [ "$(sinfo -h -N -p low -o '%N %t' | grep -v "^$(cat "$TEST_DIR/third") " | grep -c ' idle$')" = 2 ]; }

@test "cut off: the copy there stands still before another one begins, and ends when the network is back" {
  local job node other n
  for n in $(seq "${TLC_CUTS:-1}"); do
    job=$(lines=120 start --vm-checkpoint=6s)
    until_true 120 job_has_taken "$job" 1 || { show "$job"; return 1; }
    node=$(field "$job" NodeList)
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
  job=$(lines=80 start --vm-checkpoint=6s)
  until_true 120 job_has_taken "$job" 1 || { show "$job"; return 1; }
  node=$(field "$job" NodeList)
  slurm_cluster cut "$node"
  kill -9 "$(first_copy "$job")"
  until_true 30 grep -qs 'waiting for slurmctld' "$(log_of "$job")" || { show "$job"; return 1; }
  until_true 120 grep -qs 'info restored' "$(log_of "$job")" || { show "$job"; return 1; }
  slurm_cluster heal "$node"
  whole "$job" 80
  # Of the copy that was cut off, and of the one after it.
  [ "$(grep -cE 'info (booted|restored)' "$(log_of "$job")")" = 2 ]
  until_true 120 all_idle

  job=$(lines=22 start --vm-checkpoint=6s)
  until_true 120 job_has_taken "$job" 1 || { show "$job"; return 1; }
  node=$(field "$job" NodeList)
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
  job=$(lines=80 start --vm-checkpoint=6s)
  until_true 120 job_has_taken "$job" 1 || { show "$job"; return 1; }
  node=$(field "$job" NodeList)
  slurm_cluster slurmd-off "$node"
  until_true 120 grep -qs 'info restored' "$(log_of "$job")" || { show "$job"; return 1; }
  no_first_copy "$job"
  slurm_cluster slurmd-on "$node"
  whole "$job" 80
  until_true 120 all_idle
}

@test "slurmctld and slurmd are restarted: the job does not notice" {
  local job node
  job=$(start --vm-checkpoint=6s)
  until_true 120 nth_line "$job" 3 || { show "$job"; return 1; }
  node=$(field "$job" NodeList)
  slurm_cluster controller-off
  sleep 9 # longer than a lease
  slurm_cluster controller-on
  slurm_cluster slurmd-off "$node"
  sleep 1
  slurm_cluster slurmd-on "$node"
  whole "$job" 60
  run ! grep -qE 'stands still|info restored' "$(log_of "$job")"
}

@test "preempted: a last checkpoint at the start of the grace time, and the node is free at once" {
  local job high
  job=$(start --vm-checkpoint=1h)
  until_true 120 nth_line "$job" 10 || { show "$job"; return 1; }
  high=$(submit --partition=high --nodes=2 --exclude="$(cat "$TEST_DIR/third")" --exclusive --wrap='sleep 3')
  until_true 30 ended "$high"
  whole "$job" 60
  grep -q 'Slurm preempts the job' "$(log_of "$job")"
  [ "$(time_of "$job" 'checkpoint=1 ')" -le "$(($(time_of "$job" 'Slurm preempts') + 4))" ]
  run ! grep -q 'signal 15' "$(log_of "$job")"
  grep -q 'restored checkpoint=1 ' "$(log_of "$job")"
}

@test "suspended and resumed, held and released, its node drained: the job goes on" {
  local job node
  job=$(start --vm-checkpoint=1h)
  until_true 120 nth_line "$job" 3 || { show "$job"; return 1; }
  node=$(field "$job" NodeList)
  scontrol suspend "$job"
  sleep 9 # longer than a lease
  scontrol resume "$job"
  until_true 60 nth_line "$job" 12 || { show "$job"; return 1; }
  scontrol update nodename="$node" state=drain reason=test
  until_true 60 nth_line "$job" 20 || { show "$job"; return 1; }
  [ "$(field "$job" JobState)" = RUNNING ]
  as_user scontrol requeuehold "$job"
  until_true 60 eval '[ "$(field "$job" JobState)" = PENDING ]' || { show "$job"; return 1; }
  as_user scontrol release "$job"
  whole "$job" 60
  scontrol update nodename="$node" state=resume
  [ "$(field "$job" Restarts)" = 1 ]
  grep -q 'restored checkpoint=1 ' "$(log_of "$job")"
}

@test "an administrator sets a node that is cut off DOWN: the next copy waits until the first stands still" {
  local job node
  job=$(lines=80 start --vm-checkpoint=6s)
  until_true 120 job_has_taken "$job" 1 || { show "$job"; return 1; }
  node=$(field "$job" NodeList)
  slurm_cluster cut "$node"
  slurm_cluster down "$node"
  until_true 120 grep -qs 'info restored' "$(log_of "$job")" || { show "$job"; return 1; }
  [ "$(time_of "$job" 'stands still')" -le "$(time_of "$job" 'restored checkpoint')" ]
  slurm_cluster heal "$node"
  scontrol update nodename="$node" state=resume
  whole "$job" 80
  until_true 120 all_idle
}

@test "its node reboots before Slurm misses it: the job goes on from its checkpoint" {
  local job node
  job=$(lines=80 start --vm-checkpoint=6s)
  until_true 120 job_has_taken "$job" 1 || { show "$job"; return 1; }
  node=$(field "$job" NodeList)
  slurm_cluster power-off "$node"
  sleep 2
  slurm_cluster power-on "$node"
  whole "$job" 80
  grep -q 'info restored' "$(log_of "$job")"
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

@test "out of time with --vm-checkpoint-continue: requeued again and again until the script ends" {
  local job
  job=$(cat "$TEST_DIR/limited")
  whole "$job" 18
  [ "$(field "$job" Restarts)" -ge 1 ]
  grep -q 'has reached its time limit; it is requeued' "$(log_of "$job")"
}
