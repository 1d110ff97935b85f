#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154,SC2164
# Jobs of an ordinary user in a real cluster of three nodes, with the plugin, VMs and checkpoints.
bats_require_minimum_version 1.5.0
load helper
load cluster_helper

@test "the script's exit code becomes the job's: 0, 7 and a signal" {
  local zero seven signal
  zero=$(submit --vm-checkpoint=1h job.sh 3 0 0)
  seven=$(submit --vm-checkpoint=1h job.sh 3 0 7)
  signal=$(submit --vm-checkpoint=1h job.sh 3 0 USR1)
  for job in $zero $seven $signal; do until_true 120 ended "$job" || { show "$job"; return 1; }; done
  [ "$(field "$zero" JobState) $(field "$zero" ExitCode)" = "COMPLETED 0:0" ]
  [ "$(field "$seven" JobState) $(field "$seven" ExitCode)" = "FAILED 7:0" ]
  [ "$(field "$signal" JobState) $(field "$signal" ExitCode)" = "FAILED 0:10" ]
  one_life "$(output_of "$zero")" 3
}

status_tells_of_two() {
  as_user env TLC_VM_CHECKPOINT_DIR="$TEST_DIR/checkpoints" "$bin/tlc-restart" status --json "$1" | jq -e '.checkpoints >= 2' >/dev/null
}

@test "a node dies: the job goes on elsewhere with its nonce and counter, its output whole" {
  local job node followed
  job=$(submit --vm-checkpoint=6s --comment="of mine" job.sh 90 0.5 7)
  until_true 120 job_has_taken "$job" 2 || { show "$job"; return 1; }
  # What the user sees of it.
  until_true 30 eval 'scontrol -o show job "$job" | grep -q "Comment=of mine \[tlc: checkpoint "' || { scontrol show job "$job"; return 1; }
  until_true 5 status_tells_of_two "$job" || { show "$job"; return 1; }
  run -0 as_user env TLC_VM_CHECKPOINT_DIR="$TEST_DIR/checkpoints" "$bin/tlc-restart" status "$job"
  echo "$output"
  [[ $output == *"state            running on $(field "$job" NodeList) for "* ]]
  [[ $output == *"last checkpoint  "[2-9]*"next checkpoint  "* ]]
  run -0 as_user env TLC_VM_CHECKPOINT_DIR="$TEST_DIR/checkpoints" "$bin/tlc-restart" status --json "$job"
  [ "$(jq '.checkpoints >= 2 and .last.sequence >= 2 and .at_risk < 30 and (.ended | not)' <<<"$output")" = true ]
  as_user env TLC_VM_CHECKPOINT_DIR="$TEST_DIR/checkpoints" timeout 300 "$bin/tlc-restart" log --follow --json "$job" >"$TEST_DIR/followed" &
  followed=$!
  sleep 2
  node=$(field "$job" NodeList)
  "$support/cluster" power-off "$node" --dir "$CLUSTER_DIR/cluster"
  until_true 240 ended "$job" || { show "$job"; return 1; }
  show "$job"
  [ "$(field "$job" ExitCode)" = 7:0 ]
  # The log ends with the job, tells both nodes, and is what the file holds.
  wait "$followed"
  [ "$(jq -r .message "$TEST_DIR/followed")" = "$(cut -d' ' -f3- "$(log_of "$job")")" ]
  [ "$(jq -r '.fields | select(.start).node' "$TEST_DIR/followed")" = "$node"$'\n'"$(field "$job" NodeList)" ]
  [ "$(jq -r 'select(.text == "finished").fields.code' "$TEST_DIR/followed")" = 7 ]
  [ "$(field "$job" NodeList)" != "$node" ]
  one_life "$(output_of "$job")" 90
  grep -q 'restored checkpoint=' "$(log_of "$job")"
  # By hand a failed job can be continued from its last checkpoint, as a new job with an output of its own.
  run -0 as_user env TLC_VM_CHECKPOINT_DIR="$TEST_DIR/checkpoints" "$bin/tlc-restart" run "$job" -- --output=again-%j.out
  job=${output##* }
  until_true 120 ended "$job" || { show "$job"; return 1; }
  [ "$(field "$job" ExitCode)" = 7:0 ]
  one_life "$TEST_DIR/job/again-$job.out" 90
  "$support/cluster" power-on "$node" --dir "$CLUSTER_DIR/cluster"
}

@test "a node dies before the first checkpoint: the job starts afresh and says so" {
  local job node
  job=$(submit --vm-checkpoint=1h job.sh 40 0.5 0)
  until_true 60 has_booted "$job" || { show "$job"; return 1; }
  sleep 3
  node=$(field "$job" NodeList)
  "$support/cluster" power-off "$node" --dir "$CLUSTER_DIR/cluster"
  until_true 240 ended "$job" || { show "$job"; return 1; }
  show "$job"
  [ "$(field "$job" JobState)" = COMPLETED ]
  grep -q 'it starts afresh' "$(output_of "$job")"
  grep -v '^tlc-run:' "$(output_of "$job")" >"$TEST_DIR/of-the-job"
  one_life "$TEST_DIR/of-the-job" 40
  "$support/cluster" power-on "$node" --dir "$CLUSTER_DIR/cluster"
}

@test "requeued, or out of time: a last checkpoint is taken before Slurm kills the job" {
  local requeued limited first
  requeued=$(submit --vm-checkpoint=1h job.sh 60 0.5 0)
  limited=$(submit --vm-checkpoint=1h --time=1 job.sh 40 5 0)
  until_true 60 nth_line "$requeued" 12 || { show "$requeued"; return 1; }
  as_user scontrol requeue "$requeued"
  until_true 120 grep -qs 'restored checkpoint=1 ' "$(log_of "$requeued")" || { show "$requeued"; return 1; }
  until_true 120 ended "$requeued" || { show "$requeued"; return 1; }
  show "$requeued"
  [ "$(field "$requeued" JobState)" = COMPLETED ]
  one_life "$(output_of "$requeued")" 60

  until_true 180 ended "$limited" || { show "$limited"; return 1; }
  show "$limited"
  [ "$(field "$limited" JobState)" = TIMEOUT ]
  job_has_taken "$limited" 1
  grep -q 'time limit; continue it with: tlc-restart' "$(output_of "$limited")"
  # The checkpoint is of the job before it was told: by hand it goes on.
  first=$(grep -c '^[0-9]' "$(output_of "$limited")")
  run -0 as_user env TLC_VM_CHECKPOINT_DIR="$TEST_DIR/checkpoints" "$bin/tlc-restart" run "$limited" -- --output=again-%j.out
  limited=${output##* }
  until_true 120 grep -qs "^$((first + 2)) " "$TEST_DIR/job/again-$limited.out" || { show "$limited"; return 1; }
  as_user scancel "$limited"
  until_true 60 ended "$limited"
}

@test "scancel ends the job and its VM" {
  local job
  job=$(submit --vm-checkpoint=1h job.sh 600 0.5 0)
  until_true 60 nth_line "$job" 1
  as_user scancel "$job"
  until_true 60 ended "$job"
  [ "$(field "$job" JobState)" = CANCELLED ]
  show "$job"
  # It is told, and no time is spent on a checkpoint that nobody wants.
  grep -q 'signal 15 arrived' "$(log_of "$job")"
  run ! grep -qE 'time for a last checkpoint|checkpoint=' "$(log_of "$job")"
  run ! grep -q 'being requeued' "$(output_of "$job")"
  until_true 30 bash -c "! pgrep -f '$TEST_DIR/[c]heckpoints/[a-z0-9]*-$job/live-' >/dev/null"
}

@test "more guest memory than the job has: refused with what to write" {
  local job
  run as_user sbatch --mem=900M --vm-checkpoint=1h --vm-memory=4G job.sh 1 0 0
  [ "$status" -ne 0 ]
  [[ $output == *"more than the job's memory"* ]]
  # What QEMU needs besides is known on the node.
  job=$(submit --vm-checkpoint=1h --vm-memory=800M job.sh 1 0 0)
  until_true 60 ended "$job"
  [ "$(field "$job" JobState)" = FAILED ]
  grep -q 'write --mem=' "$(output_of "$job")"
}
