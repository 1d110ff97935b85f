#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154,SC2164,SC2314
# Jobs whose checkpoints are on file systems other than Btrfs: clones of files on XFS, chains of images on ext4.
bats_require_minimum_version 1.5.0
load helper

teardown() {
  # Shown for a test that failed.
  cat err out "$(job_directory)/tlc.log" 2>/dev/null || true
  # Whatever a failed test left running.
  [ -z "${run_pid:-}" ] || kill -9 "$run_pid" $(pgrep -P "$run_pid") 2>/dev/null || true
  cd /
  storage_down
}

begin() { # begin FILE-SYSTEM
  storage_up "$1"
  cd "$TEST_DIR/job"
  writing_job
}

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

log_has() { grep -qE "$1" "$(job_directory)/tlc.log"; }
newest_disk() { ls -d "$(job_directory)"/0*/disk | tail -n 1; }

# The drive's newest image in a directory.
image_of() { ls "$1/$2".* "$1/$2"-*.qcow2 2>/dev/null | sort -V | tail -n 1; }

# frozen_disks_are_sound DIRECTORY: the guest's file systems, put together from their images, are whole once their
# journals are replayed, and hold what the job wrote.
frozen_disks_are_sound() {
  local drive image
  for drive in root work; do
    image=$(image_of "$1" "$drive")
    qemu-img convert -f "$([[ $image = *.img ]] && echo raw || echo qcow2)" -O raw "$image" "$TEST_DIR/$drive.raw"
    e2fsck -E journal_only -y "$TEST_DIR/$drive.raw" >"$TEST_DIR/fsck" 2>&1 || [ $? = 1 ] || { cat "$TEST_DIR/fsck"; return 1; }
    e2fsck -fn "$TEST_DIR/$drive.raw" >"$TEST_DIR/fsck" 2>&1 || { cat "$TEST_DIR/fsck"; return 1; }
  done
  debugfs -R 'cat /progress' "$TEST_DIR/work.raw" 2>/dev/null | tail -n 1 | grep -E '^[0-9]+ '
  debugfs -R 'cat /var/tmp/log/progress' "$TEST_DIR/root.raw" 2>/dev/null | tail -n 1 | grep -E '^[0-9]+ '
  rm "$TEST_DIR"/{root,work}.raw
}

# killed_and_restored KIND: QEMU is killed, then all is, and the job ends each time as if nothing had been.
killed_and_restored() {
  start 5s 60 0.5 7
  until_true 60 has_taken 2
  log_has "disk=$1 "
  sleep 1.5
  kill -9 "$(qemu_of "$run_pid")"
  until_true 30 log_has 'restored checkpoint='
  local before
  before=$(checkpoints_taken)
  until_true 60 has_taken $((before + 1))
  finished
  [ "$code" = 7 ]
  one_life out 60
  [ "$(tail -n 1 progress)" = "$(tail -n 1 out)" ]
  [ "$(ls -d "$(job_directory)"/live-* 2>/dev/null)" = "" ]
  frozen_disks_are_sound "$(newest_disk)"

  # By hand, from what the job has left.
  run -0 --separate-stderr "$bin/tlc-restart" list --json
  [ "$(jq 'length > 0 and all(.whole)' <<<"$output")" = true ]
  run -7 bash -c "'$bin/tlc-restart' run --local '$(basename "$(job_directory)")' >again 2>err"
  one_life again 60
  [ "$(tail -n 1 progress)" = "$(tail -n 1 again)" ]
}

@test "XFS: QEMU killed, the job continues in place; and again by hand" {
  begin xfs
  killed_and_restored reflink
}

@test "ext4: QEMU killed, the job continues in place; and again by hand" {
  begin ext4
  killed_and_restored qcow2
}

@test "XFS: a job goes on with disks of another kind, and back" {
  begin xfs
  start 5s 60 0.5 7
  until_true 60 has_taken 1
  kill -9 "$run_pid" "$(qemu_of "$run_pid")"
  finished
  local kind job
  job=$(basename "$(job_directory)")
  for kind in qcow2 reflink; do
    { cat "$TLC_CONFIG"; printf '[job]\ndisk = "%s"\n' "$kind"; } >site.toml
    "$bin/tlc-run" --config site.toml --restart "$TEST_DIR/checkpoints/$job" >"again-$kind" 2>err 3>&- &
    run_pid=$!
    local before
    before=$(checkpoints_taken)
    until_true 60 has_taken $((before + 1))
    [ "$("$bin/tlc-restart" show "$job" --json | jq -r .manifest.disk.kind)" = "$kind" ]
    if [ "$kind" = qcow2 ]; then
      kill -9 "$run_pid" "$(qemu_of "$run_pid")"
      finished
    fi
  done
  finished
  [ "$code" = 7 ]
  one_life again-reflink 60
}

closed_what_is_removed() { ! ls -l "/proc/$(qemu_of "$run_pid")/fd" | grep -q 'live-.*(deleted)'; }

@test "ext4: long chains are merged, and frozen images stay as they were" {
  begin ext4
  start 5s 150 0.5 7
  until_true 60 has_taken 1
  sha256sum "$(job_directory)"/0*/disk/root.qcow2 | head -n 1 | cut -d' ' -f1 >"$TEST_DIR/before"
  ln "$(job_directory)/live-1/root.qcow2" "$TEST_DIR/checkpoints/first"
  until_true 90 log_has 'merged the images of the drive root'
  until_true 90 log_has 'merged the images of the drive work'
  # In the live disk only what a chain needs is left, and the names in the images lead to it.
  until_true 5 closed_what_is_removed
  [ "$(ls "$(job_directory)/live-1" | grep -c root)" -le 4 ]
  [ ! -e "$(job_directory)/live-1/root.qcow2" ]
  [ "$(sha256sum <"$TEST_DIR/checkpoints/first" | cut -d' ' -f1)" = "$(cat "$TEST_DIR/before")" ]
  local before
  before=$(checkpoints_taken)
  until_true 60 has_taken $((before + 3))
  kill -9 "$(qemu_of "$run_pid")"
  until_true 30 log_has 'restored checkpoint='
  finished
  [ "$code" = 7 ]
  one_life out 150
  [ "$(tail -n 1 progress)" = "$(tail -n 1 out)" ]
  # The last one may be cut off by the job's end.
  [ "$(grep -E 'grows|stays long|was given up' "$(job_directory)/tlc.log" | grep -vc 'the job ended meanwhile')" = 0 ]
  # The checkpoints hold few images, all over plain names beside them.
  local image
  for image in "$(newest_disk)"/*.qcow2; do
    qemu-img info -U --output=json "$image" | jq -e '."backing-filename" | (contains("/") | not) or startswith("/")'
  done
  [ "$(ls "$(newest_disk)" | wc -l)" -le 25 ]
  frozen_disks_are_sound "$(newest_disk)"
}

@test "ext4: the engine killed at moments of checkpoints: the next one is whole and the disks are right" {
  begin ext4
  start 5s 80 0.5 7
  until_true 60 has_taken 1
  local time
  for time in 1 2 3 4 5 6; do
    sleep "5.$(printf %03d $((RANDOM % 999)))"
    kill -9 "$(engine_of "$run_pid")" 2>/dev/null || true
  done
  local before
  before=$(checkpoints_taken)
  until_true 60 has_taken $((before + 1))
  kill -9 "$(qemu_of "$run_pid")"
  finished
  [ "$code" = 7 ]
  one_life out 80
  [ "$(tail -n 1 progress)" = "$(tail -n 1 out)" ]
  frozen_disks_are_sound "$(newest_disk)"
}
