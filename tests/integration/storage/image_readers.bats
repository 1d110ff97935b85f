#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Two readers of memory images, the program's and one written from the document alone, see the same: in images of
# today, in the golden ones, and in damaged ones.

setup() {
  /usr/bin/python3 -c 'import h5py, lz4.block, xxhash' || skip "python3-h5py, python3-lz4 or python3-xxhash is not installed"
  TEST_DIR=$(mktemp -d "${TMPDIR:-/tmp}/tlc-readers-XXXXXX")
  sample=${TLC_BUILD:?set TLC_BUILD to the CMake build directory}/tests/sample_image
  support=$TLC_ROOT/tests/support
}

teardown() { rm -rf "${TEST_DIR:-}"; }

second_reader() { /usr/bin/python3 "$support/read_image.py" --describe "$@"; }

@test "readers: a chain of images is read to what was written, by both" {
  "$sample" chain "$TEST_DIR" >"$TEST_DIR/written"
  digest=$(head -n 1 "$TEST_DIR/written")
  "$sample" describe "$TEST_DIR/3/memory.h5" "$digest" >"$TEST_DIR/first"
  second_reader "$TEST_DIR/3/memory.h5" "$digest" | diff "$TEST_DIR/first" -
  tail -n +2 "$TEST_DIR/written" | diff <(grep ^page "$TEST_DIR/first" | grep -v page_size) -
  [ "$(grep -c ^older "$TEST_DIR/first")" = 2 ]
}

@test "readers: the golden images are read to what is written beside them, by the second" {
  for contents in "$TLC_ROOT"/tests/golden/*/contents.txt; do
    second_reader "${contents%/*}/memory.h5" "$(sed -n 's/^digest //p' "$contents")" | diff "$contents" -
  done
}

@test "readers: what one takes for damage the other does, and what both read is the same" {
  digest=$("$sample" chain "$TEST_DIR" | head -n 1)
  intact=$("$sample" describe "$TEST_DIR/3/memory.h5" "$digest")
  mkdir "$TEST_DIR/damaged"
  /usr/bin/python3 "$support/damage_image.py" "$TEST_DIR/3" "$TEST_DIR/damaged" >"$TEST_DIR/list"
  [ "$(wc -l <"$TEST_DIR/list")" -gt 60 ]
  bad=0
  while read -r n what; do
    first=0 second=0
    "$sample" describe "$TEST_DIR/damaged/$n/memory.h5" "$digest" >"$TEST_DIR/first" 2>"$TEST_DIR/why-first" || first=$?
    second_reader "$TEST_DIR/damaged/$n/memory.h5" "$digest" >"$TEST_DIR/second" 2>"$TEST_DIR/why-second" || second=$?
    right=no
    case $first in
      4|5) [ "$second" != "$first" ] || right=yes ;;
      # Some bytes mean nothing; nothing else may be read than what was written.
      0) [[ $what != *byte* ]] || [ "$second" != 0 ] || ! diff "$TEST_DIR/first" "$TEST_DIR/second" ||
        [ "$(cat "$TEST_DIR/first")" != "$intact" ] || right=yes ;;
    esac
    [ "$right" = yes ] && continue
    echo "$what: exit codes $first ($(cat "$TEST_DIR/why-first")) and $second ($(cat "$TEST_DIR/why-second"))"
    bad=1
  done <"$TEST_DIR/list"
  [ "$bad" = 0 ]
}
