#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154,SC2030,SC2031
# Live disks and their snapshots on a real Btrfs.
load helper

teardown() { storage_down; }

# The library's own cases against the mounted file system; none may be skipped.
run_cases() {
  "$@" env TLC_TEST_BTRFS="$TEST_DIR/mnt" "$TEST_DIR/bin/test_disk_btrfs" >"$TEST_DIR/log" 2>&1 ||
    { cat "$TEST_DIR/log"; return 1; }
  ! grep SKIPPED "$TEST_DIR/log"
}

@test "disk: root makes, freezes, restores and removes" {
  storage_up btrfs 160M
  run_cases command
}

@test "disk: an ordinary user does, without any mount option" {
  storage_up btrfs 160M
  run_cases as_user
}

@test "disk: an ordinary user does, with user_subvol_rm_allowed" {
  storage_up btrfs 160M user_subvol_rm_allowed
  run_cases as_user
}

@test "disk: nothing stays of what was removed" {
  storage_up btrfs 160M
  export TLC_TEST_BTRFS=$TEST_DIR/mnt
  as_user "$TEST_DIR/bin/test_disk_btrfs" --gtest_filter='*removes*'
  run btrfs subvolume list "$TEST_DIR/mnt"
  [ "$status" = 0 ]
  [ -z "$output" ]
}

@test "disk: another file system is refused with advice" {
  storage_up ext4 32M
  export TLC_TEST_BTRFS=$TEST_DIR/mnt
  run "$TEST_DIR/bin/test_disk_btrfs" --gtest_filter='Btrfs.makes*'
  [ "$status" = 1 ]
  [[ $output == *"not on Btrfs"*"--vm-checkpoint-dir"* ]]
}
