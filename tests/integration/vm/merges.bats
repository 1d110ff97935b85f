#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154
# Chains of images merged by a real QEMU on a small ext4: cut off, failing, stuck, cancelled.
bats_require_minimum_version 1.5.0

setup() {
  [ "$(id -u)" = 0 ] || skip "needs root for a loop mount"
  TEST_DIR=$(mktemp -d /var/tmp/tlc-merges-XXXXXX)
  truncate -s 400M "$TEST_DIR/disk"
  mkfs.ext4 -q -m 0 "$TEST_DIR/disk"
  mkdir "$TEST_DIR/mnt"
  mount -o loop "$TEST_DIR/disk" "$TEST_DIR/mnt"
}

teardown() {
  [ -n "${TEST_DIR:-}" ] || return 0
  ! mountpoint -q "$TEST_DIR/mnt" || umount "$TEST_DIR/mnt"
  rm -rf "$TEST_DIR"
}

@test "merges: a chain is merged, cut off at any moment, tried again after an error, or cancelled" {
  run -0 env TLC_TEST_QEMU="$TLC_QEMU" TLC_TEST_MERGES="$TEST_DIR/mnt" "$TLC_BUILD/tests/test_supervisor_chain_merge"
  run ! grep SKIPPED <<<"$output"
}
