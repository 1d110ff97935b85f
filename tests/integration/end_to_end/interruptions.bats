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
  # What it was begun with need not be there any more when it goes on.
  as_user touch input
  job=$(start --vm-checkpoint=1h --vm-stage-in=job.sh,input)
  until_true 120 nth_line "$job" 3 || { show "$job"; return 1; }
  rm "$TEST_DIR/job/input"
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
  begin 80
  slurm_cluster power-off "$node"
  sleep 2
  slurm_cluster power-on "$node"
  whole "$job" 80
  grep -q 'info restored' "$(log_of "$job")"
}

@test "started again where its checkpoint directory is not mounted: it goes on where that is" {
  local job node other
  job=$(start --vm-checkpoint=6s)
  until_true 120 job_has_taken "$job" 1 || { show "$job"; return 1; }
  until_true 60 eval '[[ $(field "$job" Comment) == "[tlc:" ]]' || { scontrol show job "$job"; return 1; }
  node=$(field "$job" NodeList)
  other=$(sinfo -h -N -p low -o %N | grep -vx -e "$node" -e "$(third_node)")
  slurm_cluster unmount "$other" "$TEST_DIR/checkpoints"
  scontrol update nodename="$node" state=drain reason=test
  as_user scontrol requeue "$job"
  until_true 90 eval 'scontrol -o show job "$job" | grep -q "not continued on $other: "' || { show "$job"; scontrol show job "$job"; return 1; }
  scontrol -o show job "$job" | grep -q "is $TEST_DIR/checkpoints mounted here?"
  scontrol update nodename="$node" state=resume
  whole "$job" 60
  [ "$(field "$job" NodeList)" = "$node" ]
  slurm_cluster mount "$other" "$TEST_DIR/checkpoints"
}

@test "started too often without a new checkpoint: held, and goes on when it is released" {
  local job
  job=$(start --vm-checkpoint=6s)
  until_true 120 job_has_taken "$job" 1 || { show "$job"; return 1; }
  as_user mkdir "$(dirname "$(log_of "$job")")"/epochs/{2..7}
  as_user scontrol requeue "$job"
  until_true 90 eval '[ "$(field "$job" JobState) $(field "$job" Priority)" = "PENDING 0" ]' || { show "$job"; scontrol show job "$job"; return 1; }
  scontrol -o show job "$job" | grep -q 'held: started 6 times without a new checkpoint'
  as_user scontrol release "$job"
  whole "$job" 60
}

@test "requeued while its files come back: they come back again, its output whole" {
  local job
  sed 's|^case|mkdir files; for ((i = 1; i <= 3000; i++)); do echo $i >files/$i; done\n&|' "$TEST_DIR/job/job.sh" >"$TEST_DIR/job/many.sh"
  chmod 755 "$TEST_DIR/job/many.sh"
  job=$(submit --exclude="$(third_node)" --vm-checkpoint=6s many.sh 30 0.5 0)
  until_true 120 [ -d "$TEST_DIR/job/files" ] || { show "$job"; return 1; }
  as_user scontrol requeue "$job"
  whole "$job" 30
  # Ended by Slurm in the middle of it, or told before the end.
  [ "$(field "$job" Restarts)" = 1 ]
  grep -q 'info restored checkpoint=' "$(log_of "$job")"
  [ "$(grep -c 'info finished code=0' "$(log_of "$job")")" = 1 ]
  [ "$(ls "$TEST_DIR/job/files" | wc -l)" = 3000 ]
  [ "$(cat "$TEST_DIR/job/files/3000")" = 3000 ]
}

@test "requeued while it ends: it does not run again; requeued afterwards: it does" {
  local job result
  job=$(lines=5 start --vm-checkpoint=1h)
  completed "$job"
  result=$(dirname "$(log_of "$job")")/result.json
  as_user cp "$(output_of "$job")" "$(dirname "$result")/stdout" # a copy that would have been removed next
  [ "$(jq -r .complete "$result")" = true ]
  as_user sed -i 's/"complete":true/"complete":false/' "$result"
  as_user scontrol requeue "$job"
  until_true 60 eval '[ "$(field "$job" Restarts)" = 1 ]'
  completed "$job"
  grep -q 'had come to its end' "$(output_of "$job")"
  cat "$(output_of "$job")"
  grep -v '^tlc-run:' "$(output_of "$job")" >"$TEST_DIR/of-the-job"
  one_life "$TEST_DIR/of-the-job" 5
  sleep 3 # Slurm's seconds are whole
  as_user scontrol requeue "$job"
  until_true 60 eval '[ "$(field "$job" Restarts)" = 2 ]'
  completed "$job"
  grep '^[0-9]* ' "$(output_of "$job")" >"$TEST_DIR/again"
  one_life "$TEST_DIR/again" 5
  run ! cmp "$TEST_DIR/of-the-job" "$TEST_DIR/again"
  rm -r "$TEST_DIR"/checkpoints/*.old-1
}

@test "out of time with --vm-checkpoint-continue: requeued again and again until the script ends" {
  local job
  job=$(cat "$TEST_DIR/limited")
  whole "$job" 18
  [ "$(field "$job" Restarts)" -ge 1 ]
  grep -q 'has reached its time limit; it is requeued' "$(log_of "$job")"
}
