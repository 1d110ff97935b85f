#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154,SC2164
# What Slurm does to a job that it sees all the time, in a real cluster: what is lost is told by the job's own
# output, in which each line is there once and of one life.
bats_require_minimum_version 1.5.0
load helper
load cluster_helper

# One job takes three minutes of waiting for its time limit. It has the third node, everything else the others.
setup_file() {
  cluster_file_up
  submit --vm-checkpoint=1h --vm-checkpoint-continue --time=1 --nodelist="$(third_node)" job.sh 18 5 0 >"$TEST_DIR/limited"
}

start() { submit --exclude="$(third_node)" "$@" job.sh "$lines" 0.5 0; }
lines=60

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
  high=$(submit --partition=high --nodes=2 --exclude="$(third_node)" --exclusive --wrap='sleep 3')
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
}

@test "out of time with --vm-checkpoint-continue: requeued again and again until the script ends" {
  local job
  job=$(cat "$TEST_DIR/limited")
  whole "$job" 18
  [ "$(field "$job" Restarts)" -ge 1 ]
  grep -q 'has reached its time limit; it is requeued' "$(log_of "$job")"
}
