#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154,SC2164
# Many checkpoints in a row of one job, its engine killed now and then: nothing may creep.
# TLC_CHECKPOINTS says how many; without it nothing is done, as 200 take 17 minutes. What was seen is printed.
bats_require_minimum_version 1.5.0
load helper

setup_file() { storage_up; }
teardown_file() { storage_down; }

teardown() {
  [ -z "${run_pid:-}" ] || kill -9 "$run_pid" $(pgrep -P "$run_pid") 2>/dev/null || true
}

rss() { awk '/^VmRSS/ {print $2}' "/proc/$1/status"; }
descriptors() { find "/proc/$1/fd" -mindepth 1 2>/dev/null | wc -l; }

@test "checkpoints in a row with engines killed: memory, descriptors, disk space and pause do not creep" {
  [ -n "${TLC_CHECKPOINTS:-}" ] || skip "takes long: say how many checkpoints in TLC_CHECKPOINTS"
  local wanted=$TLC_CHECKPOINTS kills=0 qemu engine
  cd "$TEST_DIR/job"
  counting_job job.sh
  "$bin/tlc-run" --checkpoint=5s --job-memory=900M -- ./job.sh 100000 0.2 0 >out 2>err 3>&- &
  run_pid=$!
  until_true 60 has_taken 2
  qemu=$(qemu_of "$run_pid")
  local last=0 taken
  while taken=$(checkpoints_taken) && [ "$taken" -lt "$wanted" ]; do
    if [ "$taken" -gt "$last" ]; then
      last=$taken
      sync -f "$TEST_DIR/checkpoints"
      engine=$(engine_of "$run_pid" || echo self)
      echo "$taken $(rss "$run_pid") $(descriptors "$run_pid") $(rss "$qemu") $(descriptors "$qemu") $(rss "$engine") $(df --output=used -k "$TEST_DIR/checkpoints" | tail -n 1)" >>samples
      if [ $((RANDOM % 10)) = 0 ]; then
        sleep "0.$(printf %03d $((RANDOM % 999)))"
        kill -9 "$(engine_of "$run_pid")" 2>/dev/null && kills=$((kills + 1))
      fi
    fi
    kill -0 "$run_pid"
    sleep 0.05
  done
  grep -oE 'checkpoint=[0-9]+ pause_ms=[0-9.]+' "$(job_directory)/tlc.log" >pauses
  run -0 /usr/bin/python3 - samples pauses "$kills" <<'PY'
import statistics, sys
rows = [list(map(int, line.split())) for line in open(sys.argv[1])]
pauses = [float(line.split("pause_ms=")[1]) for line in open(sys.argv[2])]
third = max(len(rows) // 3, 3)
names = ("tlc-run KiB", "tlc-run descriptors", "QEMU KiB", "QEMU descriptors", "engine KiB", "disk KiB")
print(f"{len(pauses)} checkpoints, {sys.argv[3]} engines killed")
bad = []
def judge(name, values, slack):
    early, late = statistics.median(values[third // 2:third + third // 2]), statistics.median(values[-third:])
    print(f"{name:22} {early:10.1f} early, {late:10.1f} late, {max(values):10.1f} at most")
    if late > early * 1.1 + slack:
        bad.append(name)
for column, name in enumerate(names, 1):
    # 4 MiB of slack for memory and disk, one descriptor for what is just being opened.
    judge(name, [row[column] for row in rows], 4096 if "KiB" in name else 1)
judge("pause ms", pauses, 5)
sys.exit(f"these creep: {bad}" if bad else 0)
PY
  echo "$output" | tee -a "${TLC_RESULTS:-.}/endurance.txt" >&3
  kill -9 "$run_pid" $(pgrep -P "$run_pid")
  wait "$run_pid" || true
  run_pid=
}
