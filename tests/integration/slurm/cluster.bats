#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The test cluster itself: two at once, power failures, and nothing left behind.
load helper
setup_file() {
  [ "$(id -u)" = 0 ] || skip "needs root for network namespaces"
  export TEST_DIR
  TEST_DIR=$(mktemp -d /dev/shm/tlc-slurm-XXXXXX)
  chmod 0755 "$TEST_DIR"
}
teardown_file() {
  [ -n "${TEST_DIR:-}" ] || return 0
  "$cluster" stop --dir "$TEST_DIR/a"
  "$cluster" stop --dir "$TEST_DIR/b"
  rm -rf "$TEST_DIR"
}

@test "two clusters at once, and power-off hits one node only" {
  "$cluster" start --dir "$TEST_DIR/a" --nodes 2
  "$cluster" start --dir "$TEST_DIR/b" --nodes 1
  "$cluster" exec n1 --dir "$TEST_DIR/a" -- hostname
  [ "$("$cluster" exec n1 --dir "$TEST_DIR/a" -- hostname)" = "$("$cluster" name n1 --dir "$TEST_DIR/a")" ]
  "$cluster" power-off n1 --dir "$TEST_DIR/a"
  "$cluster" down n1 --dir "$TEST_DIR/a"
  run "$cluster" status --dir "$TEST_DIR/a"
  echo "$output"
  [ "$status" -ne 0 ]
  [ "$(grep -c down <<<"$output")" = 1 ]
  "$cluster" status --dir "$TEST_DIR/b"
}

@test "stop leaves nothing, also after slurmctld was killed, and may be repeated" {
  local id
  id=$(. "$TEST_DIR/b/state" && echo "$id")
  kill -9 "$(cat "$TEST_DIR/b/run/slurmctld.pid")"
  "$cluster" stop --dir "$TEST_DIR/b"
  "$cluster" stop --dir "$TEST_DIR/b"
  [ ! -e "/run/netns/tlc-c${id}n1" ]
  run ip link show "tlcbr$id"
  [ "$status" -ne 0 ]
  echo "$TEST_DIR/b/" >"$TEST_DIR/pattern" # in a file, so that grep does not find itself
  [ -z "$(grep -lsFf "$TEST_DIR/pattern" /proc/[0-9]*/cmdline)" ]
  "$cluster" status --dir "$TEST_DIR/a" | grep -q idle
}
