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

@test "disk: on ext4 root and an ordinary user link images, restore and remove" {
  storage_up ext4 320M
  qcow2_cases() { # without what needs clones
    "$@" env TLC_TEST_QCOW2="$TEST_DIR/mnt" "$TEST_DIR/bin/test_disk_qcow2" --gtest_filter=-*goes_on_from_other_kinds* >"$TEST_DIR/log" 2>&1 ||
      { cat "$TEST_DIR/log"; return 1; }
    ! grep SKIPPED "$TEST_DIR/log"
  }
  qcow2_cases command
  qcow2_cases as_user
}

@test "disk: on XFS the kinds restore one another" {
  storage_up xfs 320M
  run_cases qcow2 as_user
}

@test "disk: the kind is found, and one that does not work is refused with advice" {
  storage_up ext4 32M
  export TLC_TEST_BTRFS=$TEST_DIR/mnt
  run "$TEST_DIR/bin/test_disk_btrfs" --gtest_filter='Btrfs.makes*'
  [ "$status" = 1 ]
  [[ $output == *'"qcow2"'* ]]
  export TLC_TEST_DISK_KIND=btrfs
  run "$TEST_DIR/bin/test_disk_btrfs" --gtest_filter='Btrfs.makes*'
  [ "$status" = 1 ]
  [[ $output == *"it is not on Btrfs"*"--vm-checkpoint-dir"* ]]
}
