#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154,SC2164,SC2314
# tlc-run and tlc-restart on one machine, without Slurm.
bats_require_minimum_version 1.5.0
load helper

setup_file() { storage_up; }
teardown_file() { storage_down; }

setup() { counting_job_up; }

teardown() { local_job_down; }

start() { # start INTERVAL JOB-ARGUMENTS...: in the background, output to out
  local interval=$1
  shift
  "$bin/tlc-run" --checkpoint="$interval" --job-memory=900M -- ./job.sh "$@" >out 2>err 3>&- &
  run_pid=$!
}

finished() { # waits for what start began; its exit code is $code
  code=0
  wait "$run_pid" || code=$?
  run_pid=
}

@test "the script's exit code is tlc-run's: 0, 7 and a signal" {
  local code
  for code in 0 7; do
    run -"$code" "$bin/tlc-run" --checkpoint=1h --job-memory=900M -- ./job.sh 3 0 "$code"
    [ "${#lines[@]}" = 3 ]
  done
  run -138 "$bin/tlc-run" --checkpoint=1h --job-memory=900M -- ./job.sh 3 0 USR1
}

@test "a guest that hangs before the job has begun is booted again" {
  local config vm
  sed '/^\[job\]/d' "$TLC_CONFIG" >hanging.toml
  printf '[job]\nstall_limit = 10\n' >>hanging.toml
  "$bin/tlc-run" --config hanging.toml --checkpoint=1h --job-memory=900M -- ./job.sh 3 0 7 >out 2>err 3>&- &
  run_pid=$!
  until_true 30 eval 'grep -qs "info booted" "$(job_directory)/tlc.log"'
  vm=$(qemu_of "$run_pid")
  kill -STOP "$vm"
  finished
  [ "$code" = 7 ]
  grep -q 'has not begun the job' "$(job_directory)/tlc.log"
  grep '^[0-9]* ' out >lines
  one_life lines 3
}

@test "a processor that cannot be had here is refused" {
  { cat "$TLC_CONFIG"; printf '[vm]\ncpu = "Icelake-Server,enforce"\n'; } >icelake.toml
  run -5 "$bin/tlc-run" --config icelake.toml --checkpoint=1h --job-memory=900M -- ./job.sh 1 0 0
  [[ $output == *"support requested features"* ]]
}

@test "files go in and come back" {
  echo "from the host" >input
  mkdir deep
  cat >job.sh <<'EOF'
#!/bin/bash
tr a-z A-Z <input >deep/output
pwd
id -u
EOF
  run -0 "$bin/tlc-run" --checkpoint=1h --job-memory=900M -- ./job.sh
  [ "${lines[0]}" = "$TEST_DIR/job" ]
  [ "${lines[1]}" = 0 ]
  [ "$(cat deep/output)" = "FROM THE HOST" ]
}

@test "QEMU killed: the job continues in place from its last checkpoint" {
  start 5s 30 0.5 7
  until_true 60 has_taken 1
  sleep 1.5
  kill -9 "$(qemu_of "$run_pid")"
  finished
  [ "$code" = 7 ]
  one_life out 30
  grep -q 'restored checkpoint=' "$(job_directory)/tlc.log"
}

gone() { ! kill -0 "$1" 2>/dev/null; }

@test "tlc-run killed: its VM ends too, and tlc-restart run continues the job, its output whole" {
  local vm
  start 5s 30 0.5 7
  until_true 60 has_taken 1
  sleep 1.5
  vm=$(qemu_of "$run_pid")
  kill -9 "$run_pid"
  finished
  until_true 5 gone "$vm"
  [ "$code" = 137 ]
  run -0 --separate-stderr "$bin/tlc-restart" list --json
  [ "$(jq -r '.[0].whole' <<<"$output")" = true ]
  # What stands in its output before is not its own.
  echo "of another job" >again
  run -7 bash -c "'$bin/tlc-restart' run --local '$(basename "$(job_directory)")' >>again 2>err"
  [ "$(head -n 1 again)" = "of another job" ]
  sed -i 1d again
  one_life again 30
}

@test "a damaged newest checkpoint: the one before it is restored, with the reason" {
  start 5s 60 0.5 7
  until_true 60 has_taken 2
  kill -9 "$run_pid" "$(qemu_of "$run_pid")"
  finished
  local newest image
  newest=$("$bin/tlc-restart" list --json | jq -r '.[0].sequence')
  image=$(job_directory)/$(printf %06d "$newest")/memory.h5
  # What changed between the two, and the newest as a core file.
  local job
  job=$(basename "$(job_directory)")
  run -0 --separate-stderr "$bin/tlc-restart" diff "$job" $((newest - 1)) "$newest" --json
  jq -e '.a + 1 == .b and (.blocks[] | select(.id == "pc.ram") | .pages_a == .pages_b and .changed > 0 and .equal > .changed) and
    (.device_state.equal | not) and .disk["root.qcow2"].bytes_b > 0 and .output.stdout_bytes > 0' <<<"$output"
  run -0 "$bin/tlc-restart" diff "$job" $((newest - 1)) "$newest"
  echo "$output"
  [[ $output == *"pc.ram"*"device state"*"different"* ]]
  run -3 "$bin/tlc-restart" diff "$job" "$newest" 4711
  run -0 "$bin/tlc-restart" export "$job" --format=elf --out core
  echo "$output"
  [[ $output == *"registers of"* ]]
  run -0 readelf -h core
  [[ $output == *"CORE (Core file)"* ]]
  rm core
  # One bit in the middle of the stored pages.
  printf '\x5a' | dd of="$image" bs=1 seek=$(($(stat -c %s "$image") / 2)) conv=notrunc status=none
  run -7 bash -c "'$bin/tlc-restart' run --local '$(basename "$(job_directory)")' >again 2>err"
  grep -q "checkpoint $newest cannot be restored" err
  grep -q "restored checkpoint=$((newest - 1)) " "$(job_directory)/tlc.log"
  one_life again 60
}

# elsewhere MANIFEST DISKS: the options of a checkpoint's VM, NUL-separated, for a QEMU that finds its disks in
# DISKS, as docs/export.md says.
elsewhere() {
  /usr/bin/python3 - "$1" "$2" <<'END'
import json, os, re, sys
arguments = json.load(open(sys.argv[1]))["vm"]["qemu_arguments"][1:]
pairs = dict(zip(arguments, arguments[1:]))
sockets = os.path.dirname(pairs["-qmp"].split(",")[0].removeprefix("unix:"))
disks = os.path.dirname(re.search("path=([^,]*/stdout)", " ".join(arguments)).group(1))
left_out = ("-kernel", "-initrd", "-append", "-incoming", "-add-fd")
skip = False
for argument in arguments:
    if skip or argument in left_out:
        skip = not skip
        continue
    argument = argument.replace(disks, sys.argv[2]).replace(sockets, sys.argv[2])
    argument = re.sub("(id=console,.*path=).*", r"\1" + sys.argv[2] + "/console", argument)
    sys.stdout.write(argument + "\0")
END
}

@test "a job's checkpoint goes on in a QEMU without our patches" {
  local unpatched job checkpoint arguments
  unpatched=$("$TLC_ROOT/tests/support/unpatched_qemu" 2>reason) || skip "$(tail -n 1 reason)"
  start 5s 60 0.5 7
  until_true 60 has_taken 1
  kill -9 "$run_pid" "$(qemu_of "$run_pid")"
  finished
  job=$(basename "$(job_directory)")
  checkpoint=$("$bin/tlc-restart" show "$job" --json | jq -r .directory)
  run -0 "$bin/tlc-restart" export "$job" --format=qemu --out vm.qemu
  echo "$output"
  cp -r --sparse=always "$checkpoint/disk" disks
  mapfile -d '' arguments < <(elsewhere "$checkpoint/manifest.json" "$PWD/disks")
  timeout 240 "$unpatched" "${arguments[@]}" -incoming "file:$PWD/vm.qemu" >err 2>&1 3>&- &
  run_pid=$!
  until_true 180 grep -q '^60 ' disks/stdout
  one_life disks/stdout 60
  kill -9 "$run_pid" $(pgrep -P "$run_pid")
  finished
  [ ! -s err ]
}

# The directory of a checkpoint that is being taken.
being_taken() {
  local directory
  for directory in "$(job_directory)"/0*/; do
    [ ! -d "$directory" ] || [ -e "$directory/manifest.json" ] || { echo "$directory"; return 0; }
  done
  return 1
}
not() { ! "$@"; }
given_up() { grep -c 'was given up' "$(job_directory)/tlc.log" || true; }

# TLC_KILLS=20: at so many moments.
@test "the engine killed at moments of checkpoints: no half checkpoint is listed, the next one is whole" {
  local kills=${TLC_KILLS:-8}
  local count=$((kills * 24))
  start 5s "$count" 0.5 7
  until_true 60 has_taken 1
  local before latency
  latency=$(grep -oE 'latency_ms=[0-9]+' "$(job_directory)/tlc.log" | head -n 1 | cut -d= -f2)
  # A kill that comes too late counts for nothing, but makes the next checkpoint a full one, which takes longer.
  while [ "$(given_up)" -lt "$kills" ]; do
    until_true 30 being_taken >/dev/null
    sleep "0.$(printf %03d $((RANDOM % (latency < 999 ? latency : 999))))"
    kill -9 "$(engine_of "$run_pid")" 2>/dev/null || true
    until_true 20 not being_taken >/dev/null
    run -0 --separate-stderr "$bin/tlc-restart" list --json
    [ "$(jq '[.[] | select(.whole | not)] | length' <<<"$output")" = 0 ]
  done
  before=$(checkpoints_taken)
  until_true 60 has_taken $((before + 1))
  finished
  [ "$code" = 7 ]
  one_life out "$count"
}

@test "an engine that hangs between checkpoints is ended, and the job goes on" {
  # Writes where it has not written since, so that the engine is missed.
  sed -i 's|^  sleep|  head -c 200000 /dev/zero >/dev/shm/file-$i\n&|' job.sh
  start 5s 160 0.5 7
  until_true 60 has_taken 1
  kill -STOP "$(engine_of "$run_pid")"
  until_true 90 grep -q 'the checkpoint engine .* it is ended' "$(job_directory)/tlc.log"
  local before
  before=$(checkpoints_taken)
  until_true 30 has_taken $((before + 1))
  finished
  [ "$code" = 7 ]
  one_life out 160
}

@test "auto: the interval is chosen from what checkpoints cost, and learnt again after a restore" {
  # A failure a minute: checkpoints pay every few seconds.
  { cat "$TLC_CONFIG"; printf '[auto]\nnode_mtbf = "1m"\n'; } >auto.toml
  "$bin/tlc-run" --config auto.toml --checkpoint=auto --job-memory=900M -- ./job.sh 80 0.5 7 >out 2>err 3>&- &
  run_pid=$!
  until_true 60 has_taken 2
  kill -9 "$(qemu_of "$run_pid")"
  local before
  until_true 30 grep -q 'restored checkpoint=' "$(job_directory)/tlc.log"
  before=$(checkpoints_taken)
  until_true 60 has_taken $((before + 1))
  finished
  [ "$code" = 7 ]
  one_life out 80
  # The choice is told with what it came from: first of a guess, then of what was measured, then with an interruption.
  "$bin/tlc-restart" log --json "$(basename "$(job_directory)")" | jq -c 'select(.text == "auto:").fields' >choices
  cat choices
  jq -se '.[0] | .measured == "0" and .interruptions == "0"' choices
  jq -se 'any(.measured != "0" and .interruptions == "1")' choices
  "$bin/tlc-restart" show --json "$(basename "$(job_directory)")" | jq -e '.manifest.job.auto.choice | test("^interval=.* measured=([2-9]|[1-9][0-9])")'
}

loader_of() { pgrep -P "$1" -f 'tlc-engine load'; }

@test "a restored VM loses the engine that brings its memory: restored again, its output whole" {
  cp "$TLC_CONFIG" slow.toml
  sed -i 's/^\[job\]/[job]\nrestore_rate = "1M"/' slow.toml
  grep -q restore_rate slow.toml || printf '[job]\nrestore_rate = "1M"\n' >>slow.toml
  "$bin/tlc-run" --config slow.toml --checkpoint=5s --job-memory=900M -- ./job.sh 60 0.5 7 >out 2>err 3>&- &
  run_pid=$!
  until_true 60 has_taken 1
  kill -9 "$(qemu_of "$run_pid")"
  until_true 20 loader_of "$run_pid"
  local lines
  lines=$(wc -l <out)
  more_lines() { [ "$(wc -l <out)" -gt $((lines + 1)) ]; }
  until_true 30 more_lines
  # The VM goes on while its memory is still to come.
  kill -9 "$(loader_of "$run_pid")"
  finished
  [ "$code" = 7 ]
  one_life out 60
  grep -q 'the VM cannot go on' "$(job_directory)/tlc.log"
  [ "$(grep -c 'restored checkpoint=' "$(job_directory)/tlc.log")" -ge 2 ]
}

@test "clear refusals: intervals, images, directories, memory, unknown jobs" {
  refused() { # refused CODE TEXT COMMAND...
    local code=$1 text=$2
    shift 2
    run -"$code" "$@"
    [[ $output == *"$text"* ]] || { echo "printed: $output"; return 1; }
  }
  refused 2 'invalid time "banana"' "$bin/tlc-run" --checkpoint=banana -- ./job.sh
  refused 2 'invalid time "-5"' "$bin/tlc-run" --checkpoint=-5 -- ./job.sh
  refused 2 'invalid time "0"' "$bin/tlc-run" --checkpoint=0 -- ./job.sh
  refused 2 'no-such-image' "$bin/tlc-run" --checkpoint=5m --image=/no-such-image -- ./job.sh
  refused 2 '/no-such-directory' "$bin/tlc-run" --checkpoint=5m --checkpoint-dir=/no-such-directory -- ./job.sh
  refused 2 'missing-file' "$bin/tlc-run" --checkpoint=5m --stage-in=missing-file -- ./job.sh
  refused 2 'write --mem=' "$bin/tlc-run" --checkpoint=5m --job-memory=900M --memory=2G -- ./job.sh
  refused 3 'no job "4711"' "$bin/tlc-restart" run 4711
  [ -z "$(ls "$TEST_DIR/checkpoints")" ]
}

@test "a full checkpoint directory: the job goes on without checkpoints and says why" {
  start 5s 80 0.5 7
  until_true 60 has_taken 1
  # Room for the job's output, the log and what changes, not for a full checkpoint.
  fallocate -l "$(($(df --output=avail -B1 "$TEST_DIR/checkpoints" | tail -n 1) - (16 << 20)))" "$TEST_DIR/checkpoints/ballast"
  # A new engine begins with a full one.
  kill -9 "$(engine_of "$run_pid")"
  until_true 40 grep -q 'no checkpoint is taken now' "$(job_directory)/tlc.log"
  run -0 --separate-stderr "$bin/tlc-restart" list --json
  [ "$(jq 'length > 0 and all(.whole)' <<<"$output")" = true ]
  grep -q 'no checkpoint' err
  local before
  before=$(checkpoints_taken)
  rm "$TEST_DIR/checkpoints/ballast"
  until_true 40 has_taken $((before + 1))
  finished
  [ "$code" = 7 ]
  one_life out 80
}
