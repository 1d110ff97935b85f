#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154,SC2030,SC2031
# Memory images as other programs and full disks see them.
load helper

teardown() { storage_down; }

sample() { "$TEST_DIR/bin/sample_image" "$@"; }

# The numbers of "(row,column): value, ..." lines as raw bytes.
dump_bytes() {
  grep -o ': .*' | tr -dc '0-9,\n' | tr ',' '\n' | grep . | awk '{ printf "%02x", $1 }' | xxd -r -p
}

@test "image: HDF5's own tools show it" {
  storage_up
  digest=$(sample write "$TEST_DIR/memory.h5" 100 2)
  [[ $digest =~ ^[0-9a-f]{32}$ ]]
  run h5dump -H -p "$TEST_DIR/memory.h5"
  [ "$status" = 0 ]
  for part in 'ATTRIBUTE "magic"' 'ATTRIBUTE "identity"' 'ATTRIBUTE "pause_ns"' 'DATASET "pages"' 'CHUNKED ( 16, 4096 )' \
    'FILTER_ID 32004' 'FILL_TIME H5D_FILL_TIME_IFSET' 'DATASET "chunks"' 'DATASET "page_table"' 'DATASET "device_state"'; do
    [[ $output == *"$part"* ]] || { echo "no $part in: $output"; return 1; }
  done
}

@test "image: h5dump prints a page through the LZ4 filter" {
  storage_up
  sample write "$TEST_DIR/memory.h5" 100 1
  # Slots are in the order of the pages here: slot 0 is page 1 of block 0, slot 1 is page 2.
  for slot in 0 1; do
    h5dump -d /pages -s "$slot,0" -c 1,4096 "$TEST_DIR/memory.h5" | sed -n '/DATA {/,/}/p' | dump_bytes >"$TEST_DIR/dumped"
    sample page 0 $((slot + 1)) | cmp - "$TEST_DIR/dumped"
  done
}

@test "image: a reader written from the document alone agrees" {
  /usr/bin/python3 -c 'import h5py' || skip "python3-h5py is not installed"
  storage_up
  sample write "$TEST_DIR/memory.h5" 100 3
  for page in "0 0" "0 1" "0 98" "1 35"; do
    # shellcheck disable=SC2086
    /usr/bin/python3 "$TLC_ROOT/tests/support/read_image.py" "$TEST_DIR/memory.h5" $page >"$TEST_DIR/read"
    # shellcheck disable=SC2086
    sample page $page | cmp - "$TEST_DIR/read"
  done
  run /usr/bin/python3 "$TLC_ROOT/tests/support/read_image.py" "$TEST_DIR/memory.h5" 0 100
  [ "$status" = 1 ]
}

full_disk() {
  run sample write "$TEST_DIR/mnt/memory.h5" "$1" 2
  echo "$output"
  [ "$status" = 7 ]
  [[ $output == *"cannot write $TEST_DIR/mnt/memory.h5"*"No space left on device"*"free space there"* ]]
  [ ! -e "$TEST_DIR/mnt/memory.h5" ]
}

@test "image: a disk that fills up among the pages is told and nothing stays" {
  storage_up tmpfs 2M
  full_disk 3000
}

@test "image: a disk that fills up at any point is told and nothing stays" {
  storage_up tmpfs 2M
  # The file of 100 pages needs about 200 KiB: leave less in small steps, so that the tables and the end fail too.
  sample write "$TEST_DIR/memory.h5" 100 2
  needed=$(stat -c %s "$TEST_DIR/memory.h5")
  for ((room = 4096; room < needed; room += 12288)); do
    rm -f "$TEST_DIR/mnt/fill"
    head -c $((2 * 1024 * 1024 - room)) /dev/zero >"$TEST_DIR/mnt/fill"
    full_disk 100
  done
}

@test "image: a full Btrfs is told and nothing stays" {
  storage_up btrfs 128M
  head -c 256M /dev/urandom >"$TEST_DIR/mnt/fill" 2>/dev/null || true
  truncate -s -4M "$TEST_DIR/mnt/fill"
  sync -f "$TEST_DIR/mnt"
  full_disk 60000
}
