# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154
# tlc-engine by hand on the patched QEMU, with a guest of one boot sector that counts in every page of 64 MiB.

setup_file() {
  [ -n "${TLC_QEMU:-}" ] || { echo "TLC_QEMU is not set; run the tests with tests/run" >&2; return 1; }
  TEST_DIR=$(mktemp -d "${TMPDIR:-/tmp}/tlc-engine-XXXXXX")
  support=$(cd "$BATS_TEST_DIRNAME/../../support" && pwd)
  engine=$TLC_BUILD/bin/tlc-engine
  export TEST_DIR support engine
  as --32 -o "$TEST_DIR/guest.o" "$support/counter_guest.S"
  ld -m elf_i386 -Ttext 0x7c00 --oformat binary -o "$TEST_DIR/guest.bin" "$TEST_DIR/guest.o"
  truncate -s 1M "$TEST_DIR/guest.bin"
}

teardown_file() { rm -rf "${TEST_DIR:?}"; }

teardown() {
  local pid
  for pid in $(cat "$TEST_DIR"/*.pid 2>/dev/null); do kill -9 "$pid" 2>/dev/null || true; done
  rm -rf "$TEST_DIR"/*.pid "$TEST_DIR"/*.sock "$TEST_DIR"/out* "$TEST_DIR"/dump*
}

# vm NAME ACCELERATOR [OPTION...]: a QEMU with monitors NAME.sock (ours) and NAME-engine.sock.
vm() {
  local name=$1 accelerator=$2
  shift 2
  "$TLC_QEMU" -L /usr/share/seabios -L /usr/share/qemu -accel "$accelerator" -m 128 -nodefaults -no-user-config -display none \
    -qmp "unix:$TEST_DIR/$name.sock,server=on,wait=off" -qmp "unix:$TEST_DIR/$name-engine.sock,server=on,wait=off" \
    -drive "file=$TEST_DIR/guest.bin,format=raw,if=ide,snapshot=on" -debugcon "file:$TEST_DIR/out-$name" "$@" 3>&- &
  echo $! >"$TEST_DIR/$name.pid"
  for _ in $(seq 100); do [ -S "$TEST_DIR/$name-engine.sock" ] && return 0; sleep 0.1; done
  return 1
}

qmp() { local name=$1; shift; "$support/qmp" "$TEST_DIR/$name.sock" "$@"; }
passes() { stat -c %s "$TEST_DIR/out-$1" 2>/dev/null || echo 0; }
counts() { # counts NAME PASSES: waits until the guest has made that many passes
  for _ in $(seq 600); do [ "$(passes "$1")" -ge "$2" ] && return 0; sleep 0.1; done
  echo "the guest does not count"
  return 1
}
dump() { # dump NAME FILE: all memory of a stopped VM
  qmp "$1" pmemsave "{\"val\": 0, \"size\": $((128 << 20)), \"filename\": \"$TEST_DIR/$2\"}" >/dev/null
}
words() { # words FILE: least and greatest of the guest's counters
  /usr/bin/python3 -c '
import struct, sys
memory = open(sys.argv[1], "rb").read()
found = [struct.unpack_from("<I", memory, at)[0] for at in range(0x100000, 0x4100000, 4096)]
print(min(found), max(found))' "$TEST_DIR/$1"
}
