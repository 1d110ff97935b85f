#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154,SC2030,SC2031
# Live disks and their snapshots on real file systems.
load helper

teardown() { storage_down; }

# run_cases KIND COMMAND...: the library's own cases against the mounted file system; none may be skipped.
run_cases() {
  local kind=$1
  shift
  "$@" env "TLC_TEST_${kind^^}=$TEST_DIR/mnt" "$TEST_DIR/bin/test_disk_$kind" >"$TEST_DIR/log" 2>&1 ||
    { cat "$TEST_DIR/log"; return 1; }
  ! grep SKIPPED "$TEST_DIR/log"
}

@test "disk: on Btrfs root makes, freezes, restores and removes" {
  storage_up btrfs 160M
  run_cases btrfs command
}

@test "disk: on Btrfs an ordinary user does, without any mount option" {
  storage_up btrfs 160M
  run_cases btrfs as_user
}

@test "disk: on Btrfs an ordinary user does, with user_subvol_rm_allowed" {
  storage_up btrfs 160M user_subvol_rm_allowed
  run_cases btrfs as_user
}

@test "disk: on Btrfs nothing stays of what was removed" {
  storage_up btrfs 160M
  export TLC_TEST_BTRFS=$TEST_DIR/mnt
  as_user "$TEST_DIR/bin/test_disk_btrfs" --gtest_filter='*removes*'
  run btrfs subvolume list "$TEST_DIR/mnt"
  [ "$status" = 0 ]
  [ -z "$output" ]
}

@test "disk: on XFS root and an ordinary user make, freeze, restore and remove" {
  storage_up xfs 320M
  run_cases reflink command
  rm -rf "$TEST_DIR"/mnt/*
  run_cases reflink as_user
}

@test "disk: another file system is refused with advice" {
  storage_up ext4 32M
  export TLC_TEST_BTRFS=$TEST_DIR/mnt
  run "$TEST_DIR/bin/test_disk_btrfs" --gtest_filter='Btrfs.makes*'
  [ "$status" = 1 ]
  [[ $output == *"files cannot be cloned there"*"--vm-checkpoint-dir"* ]]
}
