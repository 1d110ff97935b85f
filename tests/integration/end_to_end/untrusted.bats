#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154,SC2164
# What an ordinary user could try: to get at another's checkpoints, to be taken for another job, to have something
# else read or run. Each is refused, by words that say why.
bats_require_minimum_version 1.5.0
load helper
load cluster_helper

# The job's name and comment hold what a careless reader of squeue's or scontrol's lines would take for more.
victim_job() {
  submit --vm-checkpoint=6s --job-name=$'a\nJobId=1 Restarts=9 JobState=PENDING|x' --comment='y Restarts=9|PENDING|None|9|' \
    job.sh 16 0.5 7
}

other() { # as another user than the job's
  id tlcother >/dev/null 2>&1 || useradd --create-home --uid 2002 --shell /bin/bash tlcother
  runuser -u tlcother -- env HOME=/tmp TLC_CONFIG="$TLC_CONFIG" "$@"
}

has_finished() { grep -qs 'info finished' "$(log_of "$1")"; }

setup() {
  [ -e "$TEST_DIR/victim" ] || victim_job >"$TEST_DIR/victim"
  job=$(cat "$TEST_DIR/victim")
  # Even scontrol's own lines are no help with such a name.
  until_true 60 has_finished "$job" || { show "$job"; return 1; }
  directory=$(echo "$TEST_DIR"/checkpoints/*-"$job")
}

restart() { as_user env TLC_VM_CHECKPOINT_DIR="$TEST_DIR/checkpoints" "$bin/tlc-restart" "$@"; }

@test "a job's name and comment are no fields" {
  show "$job"
  grep -q 'info finished code=7' "$(log_of "$job")"
  one_life "$(output_of "$job")" 16
  job_has_taken "$job" 1
  run ! grep -qE 'another copy|signal' "$(log_of "$job")"
}

@test "another user's checkpoints cannot be listed, read, continued or added to" {
  run ! other ls "$directory"
  run -1 other "$bin/tlc-restart" show "$directory/"
  [[ $output == *"belongs to user 2001, not to you"* ]]
  run -1 other "$bin/tlc-restart" run --local "$directory/"
  [[ $output == *"belongs to user 2001, not to you"* ]]
  run ! other mkdir "$directory/epochs/999"
  run ! other cp -r "$directory" /tmp/stolen
  # Nor are they among those that a list shows.
  run -0 other env TLC_VM_CHECKPOINT_DIR="$TEST_DIR/checkpoints" "$bin/tlc-restart" list
  [[ $output != *"-$job "* ]]
  [ "$(stat -c %a "$directory")" = 700 ]
}

@test "a job directory that is a symbolic link, to another's or to one's own" {
  local links=$TEST_DIR/links
  mkdir -m 1777 "$links"
  other ln -s "$directory" "$links/cluster-1"
  run -1 other "$bin/tlc-restart" show "$links/cluster-1"
  [[ $output == *"is a symbolic link"* ]]
  as_user ln -s "$directory" "$links/cluster-2"
  run -1 restart show "$links/cluster-2"
  [[ $output == *"is a symbolic link"* ]]
}

@test "one's own directory that others may enter" {
  as_user chmod 750 "$directory"
  run restart show "$job"
  as_user chmod 700 "$directory"
  [ "$status" = 1 ]
  [[ $output == *"others may enter"*"run chmod 700"* ]]
}

@test "paths and options are words, not commands" {
  local word
  # shellcheck disable=SC2016
  for word in '$(touch owned)' '`touch owned`' ';touch owned' '|touch owned' $'x\ntouch owned' 'x,file=/etc/passwd' '-incoming exec:touch owned'; do
    run as_user sbatch --vm-checkpoint=1h --vm-image="$word" job.sh 1 0 0
    [ "$status" -ne 0 ]
    [[ $output == *"--vm-image: cannot find"* ]]
    run as_user sbatch --vm-checkpoint=1h --vm-checkpoint-dir="$word" job.sh 1 0 0
    [ "$status" -ne 0 ]
    run as_user sbatch --vm-checkpoint=1h --vm-stage-in="$word" job.sh 1 0 0
    [ "$status" -ne 0 ]
  done
  [ ! -e "$TEST_DIR/job/owned" ]
  run as_user sbatch --vm-checkpoint=1h --vm-stage-out=../../etc/cron.d/x job.sh 1 0 0
  [ "$status" -ne 0 ]
  [[ $output == *"leaves the submit directory"* ]]
}

# forge JQ: the newest manifest changed, with a right checksum.
forge() {
  newest=$(find "$directory" -name manifest.json | sort | tail -n 1)
  cp -p "$newest" "$TEST_DIR/manifest"
  /usr/bin/python3 - "$newest" "$1" <<'EOF'
import json, subprocess, sys
import xxhash
path, change = sys.argv[1:]
text = subprocess.run(["jq", change, path], check=True, capture_output=True).stdout
manifest = json.loads(text)
manifest.pop("checksum", None)
plain = json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
manifest["checksum"] = xxhash.xxh3_128(plain.encode()).hexdigest()
open(path, "w").write(json.dumps(manifest))
EOF
}

@test "a manifest that names what is outside its directory" {
  local change
  forge '.'
  run -0 restart verify "$job" # the forger knows how
  cp -p "$TEST_DIR/manifest" "$newest"
  for change in '.memory.file = "../../memory.h5"' '.memory.file = "/etc/passwd"' '.disk.path = "../.."' \
    '.disk.files = {"../../x": 1}' '.memory.older = {"../x.h5": 1}'; do
    forge "$change"
    run -4 restart verify "$job"
    cp -p "$TEST_DIR/manifest" "$newest"
    echo "$change: $output"
    [[ $output == *"DAMAGED: "*"/manifest.json: "* && $output != *checksum* ]]
  done
}

@test "a part that is a symbolic link" {
  local image
  image=$(find "$directory" -name memory.h5 | sort | tail -n 1)
  mv "$image" "$TEST_DIR/memory.h5"
  chmod 644 "$TEST_DIR/memory.h5"
  as_user ln -s "$TEST_DIR/memory.h5" "$image"
  run -4 restart verify "$job"
  rm "$image"
  mv "$TEST_DIR/memory.h5" "$image"
  [[ $output == *"is not a regular file"* ]]
}

@test "a forged epoch stops the job of who forged it, and nobody else's" {
  local own
  own=$(submit --vm-checkpoint=6s job.sh 600 0.5 0)
  until_true 120 job_has_taken "$own" 1 || { show "$own"; return 1; }
  as_user mkdir "$(dirname "$(log_of "$own")")/epochs/999"
  until_true 60 ended "$own"
  show "$own"
  [ "$(field "$own" JobState)" = FAILED ]
  grep -q 'has been replaced by a newer one and stops' "$(log_of "$own")"
  run -0 restart verify "$own"
}
