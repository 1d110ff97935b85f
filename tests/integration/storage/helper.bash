# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# One file system in a loop file for each test. TLC_BUILD is the CMake build directory, TLC_ROOT the source tree.

# storage_up [FILE-SYSTEM SIZE MOUNT-OPTIONS]: $TEST_DIR, and $TEST_DIR/mnt that everybody may write to.
storage_up() {
  [ "$(id -u)" = 0 ] || skip "needs root to mount a loop file"
  TEST_DIR=$(mktemp -d "${TMPDIR:-/tmp}/tlc-storage-XXXXXX")
  chmod 0755 "$TEST_DIR"
  mkdir "$TEST_DIR/mnt" "$TEST_DIR/bin"
  cp "${TLC_BUILD:?set TLC_BUILD to the CMake build directory}"/tests/{sample_image,test_disk_btrfs,test_disk_qcow2,test_disk_reflink} "$TEST_DIR/bin/"
  [ $# -gt 0 ] || return 0
  if [ "$1" = tmpfs ]; then
    mount -t tmpfs -o "size=$2,mode=1777" tmpfs "$TEST_DIR/mnt"
    return
  fi
  grep -qw "$1" /proc/filesystems || modprobe "$1" 2>/dev/null || skip "the kernel has no $1"
  truncate -s "$2" "$TEST_DIR/loop"
  "mkfs.$1" -q "$TEST_DIR/loop" >"$TEST_DIR/mkfs" 2>&1 || { cat "$TEST_DIR/mkfs"; return 1; }
  mount -o "loop${3:+,$3}" "$TEST_DIR/loop" "$TEST_DIR/mnt"
  chmod 1777 "$TEST_DIR/mnt"
}

storage_down() {
  [ -n "${TEST_DIR:-}" ] || return 0
  if mountpoint -q "$TEST_DIR/mnt"; then umount "$TEST_DIR/mnt" || umount -l "$TEST_DIR/mnt"; fi
  rm -rf "$TEST_DIR"
}

as_user() { setpriv --reuid=65534 --regid=65534 --clear-groups env HOME=/ "$@"; }
