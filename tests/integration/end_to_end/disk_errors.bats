#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154,SC2164
# The kernel tells once that it could not write something, and forgets. After that nothing of this VM may be published.
bats_require_minimum_version 1.5.0
load helper

setup_file() { storage_up ext4; }
teardown_file() { storage_down; }

setup() {
  rm -rf "$TEST_DIR/job" "$TEST_DIR"/checkpoints/local-*
  mkdir "$TEST_DIR/job"
  cd "$TEST_DIR/job"
  writing_job
}

teardown() {
  cat out err "$(job_directory)/tlc.log" 2>/dev/null || true
  [ -z "${run_pid:-}" ] || kill -9 "$run_pid" $(pgrep -P "$run_pid") 2>/dev/null || true
}

# failing PROGRAM OF: a configuration whose PROGRAM (qemu, engine) has an fsync of a file of that name fail when told.
failing() {
  local program
  program=$(sed -n "s/^$1 = \"\\(.*\\)\"/\\1/p" "$TLC_CONFIG")
  cat >"$TEST_DIR/$1" <<EOF
#!/bin/bash
export LD_PRELOAD=$TLC_BUILD/tests/support/libfailing_fsync.so FAILING_FSYNC_OF=$2 FAILING_FSYNC_WHEN=$TEST_DIR/fail
exec $program "\$@"
EOF
  chmod 755 "$TEST_DIR/$1"
  sed "s#^$1 = .*#$1 = \"$TEST_DIR/$1\"#" "$TLC_CONFIG" >site.toml
}

start() { # start LINES
  "$bin/tlc-run" --config site.toml --checkpoint=5s --job-memory=900M -- ./job.sh "$1" 0.3 7 >out 2>err 3>&- &
  run_pid=$!
}

goes_back() { grep -qs ' info restored checkpoint=' "$(job_directory)/tlc.log"; }

# The job finds its disks as they were at a checkpoint from before, and none was published in between.
went_back() {
  local code=0 log
  until_true 60 test -e "$TEST_DIR/fail.done"
  until_true 60 goes_back
  wait "$run_pid" || code=$?
  run_pid=
  [ "$code" = 7 ]
  one_life out "$1"
  grep -q 'has lost what was written to it, the job goes back to its last checkpoint' err
  log=$(job_directory)/tlc.log
  [ "$(grep -cE 'info (booted|restored)' "$log")" = 2 ]
  sed -n '/has lost what/,/info restored/p' "$log" >between
  grep -q 'info restored' between
  run ! grep 'info checkpoint=' between
  "$bin/tlc-restart" verify --all "$(basename "$(job_directory)")"
  rm "$TEST_DIR/fail.done"
}

@test "an image that a checkpoint has frozen cannot be synced: the job goes back, and no later checkpoint has the image" {
  failing engine disk/work
  start 90
  until_true 120 has_taken 2
  touch "$TEST_DIR/fail"
  went_back 90
}

@test "QEMU cannot sync what the guest has written: the VM does not go on with it" {
  failing qemu work
  start 90
  until_true 120 has_taken 2
  touch "$TEST_DIR/fail"
  went_back 90
  grep -q 'the VM waits: its disks in .* cannot be read or written' "$(job_directory)/tlc.log"
}
