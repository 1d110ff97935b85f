#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154
# A job's files come back from its work disk: whole and durable, or the user is told.
bats_require_minimum_version 1.5.0
load helper

setup() {
  storage_up
  helper=$TLC_BUILD/tests/stage_helper
  cd "$TEST_DIR"
  mkdir cwd
  "$helper" make disk.img 16 cwd 0 0
  echo "three weeks of work" >result
  debugfs -w -R "write result result" disk.img 2>/dev/null
  echo old >cwd/result
}

teardown() { storage_down; }

@test "a file that cannot be written out is told, and the old one stays" {
  touch fail
  run env LD_PRELOAD="$TLC_BUILD/tests/support/libfailing_fsync.so" FAILING_FSYNC_OF=/cwd/.tlc- FAILING_FSYNC_WHEN="$PWD/fail" \
    "$helper" back disk.img cwd
  echo "$output"
  [[ $output == *"problem result: writing the file out: Input/output error"* ]]
  [ "$(cat cwd/result)" = old ]
  run -0 "$helper" back disk.img cwd
  [ "$(cat cwd/result)" = "three weeks of work" ]
}
