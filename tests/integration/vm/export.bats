#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154,SC2164
# Checkpoints as files for other programs: QEMU without our patches, and gdb. See engine_helper.bash for the guest.
bats_require_minimum_version 1.5.0

load engine_helper

setup() { restart=$TLC_BUILD/bin/tlc-restart; }

# saved IMAGE [OPTION...]: an image of the VM "first", with a full page table, in the directory IMAGE.
saved() {
  local image=$1
  shift
  mkdir "$TEST_DIR/$image"
  "$engine" save --qmp "$TEST_DIR/first-engine.sock" --out "$TEST_DIR/$image" "$@"
}

exported() { # exported IMAGE FILE FORMAT
  run -0 --separate-stderr "$restart" export "$TEST_DIR/$1" --format="$3" --out "$TEST_DIR/$2" --json
  jq -e --arg file "$TEST_DIR/$2" --arg format "$3" --argjson bytes "$(stat -c %s "$TEST_DIR/$2")" \
    '. == {file: $file, format: $format, bytes: $bytes}' <<<"$output"
  [ "$(stat -c %a "$TEST_DIR/$2")" = 600 ]
}

state_of() { qmp "$1" query-status | jq -r .status; }
arrives() { # arrives NAME STATUS: waits until an incoming VM has it
  for _ in $(seq 100); do
    [ "$(state_of "$1")" != "$2" ] || return 0
    sleep 0.1
  done
  state_of "$1"
  cat "$TEST_DIR/out-$1.err"
  return 1
}

# resumed QEMU: what the patched QEMU has saved, stopped and running, goes on in QEMU.
resumed() {
  local unpatched=$1 before least most
  vm first tcg
  counts first 5
  saved out-running
  qmp first stop
  dump first dump-before
  saved out-stopped
  kill -9 "$(cat "$TEST_DIR/first.pid")"
  exported out-stopped out-stopped.qemu qemu
  exported out-running out-running.qemu qemu

  # Of a VM that stood still the memory can be compared byte by byte.
  TLC_QEMU=$unpatched vm second tcg -incoming "file:$TEST_DIR/out-stopped.qemu" 2>"$TEST_DIR/out-second.err"
  arrives second paused
  dump second dump-after
  cmp "$TEST_DIR/dump-before" "$TEST_DIR/dump-after"
  [ ! -s "$TEST_DIR/out-second.err" ] || { cat "$TEST_DIR/out-second.err"; return 1; }
  # It goes on from there.
  read -r least before <<<"$(words dump-before)"
  qmp second cont
  counts second 2
  qmp second stop
  dump second dump-later
  read -r least most <<<"$(words dump-later)"
  [ $((most - least)) -le 1 ]
  [ "$least" -gt "$before" ]

  # One that ran runs at once.
  TLC_QEMU=$unpatched vm third tcg -incoming "file:$TEST_DIR/out-running.qemu" 2>"$TEST_DIR/out-third.err"
  arrives third running
  counts third 3
  qmp third stop
  dump third dump-third
  read -r least most <<<"$(words dump-third)"
  echo "least $least most $most"
  [ $((most - least)) -le 1 ]
  [ "$least" -gt 3 ]
  qmp third query-version
}

@test "a migration stream: a QEMU without our patches resumes what ours has saved" {
  local unpatched
  unpatched=$("$support/unpatched_qemu" 2>"$TEST_DIR/out-reason") || skip "$(tail -n 1 "$TEST_DIR/out-reason")"
  run -0 "$unpatched" --version
  echo "$output"
  [[ $output == *"version 10.0."* && $output != *TLC* ]]
  resumed "$unpatched"
}

@test "a migration stream: the patched QEMU takes it as any other" {
  resumed "$TLC_QEMU"
}

@test "a migration stream of an incremental image has the pages of older files" {
  vm first tcg
  counts first 5
  mkdir "$TEST_DIR"/out-{1,2}
  coproc ENGINE { "$engine" serve --qmp "$TEST_DIR/first-engine.sock" 3>&-; }
  local n answer
  for n in 1 2; do
    if [ "$n" = 2 ]; then
      qmp first stop
      dump first dump-before
    fi
    echo "{\"out\": \"$TEST_DIR/out-$n\"}" >&"${ENGINE[1]}"
    read -r -t 60 answer <&"${ENGINE[0]}"
  done
  [ "$(jq -r '.older | length > 0' <<<"$answer")" = true ]
  exec {ENGINE[1]}>&-
  wait "$ENGINE_PID" || true
  kill -9 "$(cat "$TEST_DIR/first.pid")"
  exported out-2 out-2.qemu qemu
  vm second tcg -incoming "file:$TEST_DIR/out-2.qemu" 2>"$TEST_DIR/out-second.err"
  arrives second paused
  dump second dump-after
  cmp "$TEST_DIR/dump-before" "$TEST_DIR/dump-after"
}

in_gdb() { # in_gdb FILE COMMAND...
  local file=$1 arguments=() command
  shift
  for command in "$@"; do arguments+=(-ex "$command"); done
  gdb -q -nx -batch "${arguments[@]}" -c "$file" 2>&1
}

@test "a core file: gdb shows memory at its physical addresses, and the registers" {
  command -v gdb >/dev/null || skip "gdb is not installed"
  vm first tcg -smp 2
  counts first 5
  qmp first stop
  dump first dump-before
  saved out-image
  exported out-image out-core elf
  run -0 readelf -h -l -n "$TEST_DIR/out-core"
  echo "$output"
  [[ $output == *"CORE (Core file)"* && $output == *NT_PRSTATUS* && $output == *QEMU* ]]
  # The first word the guest counts in, and the boot sector's last bytes.
  local expected registers
  expected=$(od -An -tx1 -j $((0x100000)) -N 8 "$TEST_DIR/dump-before" | sed 's/ \(..\)/\t0x\1/g')
  run -0 in_gdb "$TEST_DIR/out-core" 'x/8xb 0x100000' 'x/2xb 0x7dfe' 'x/1xb 0xfffffff0' 'info threads' \
    'printf "rip %lx rdi %lx\n", $rip, $rdi'
  echo "$output"
  [[ $output == *"0x100000:$expected"* ]]
  [[ $output == *$'0x7dfe:\t0x55\t0xaa'* ]]
  # The processor's first instruction is a far jump in the firmware.
  [[ $output == *$'0xfffffff0:\t0xea'* ]]
  [ "$(grep -c 'Thread\|LWP\|process' <<<"$output")" -ge 2 ]
  registers=$(qmp first human-monitor-command '{"command-line": "info registers"}' | jq -r .)
  echo "$registers"
  [[ $output =~ rip\ ([0-9a-f]+)\ rdi\ ([0-9a-f]+) ]]
  [[ $registers == *"EIP=$(printf %08x "0x${BASH_REMATCH[1]}")"* && $registers == *"EDI=$(printf %08x "0x${BASH_REMATCH[2]}")"* ]] ||
    [[ $registers == *"RIP=$(printf %016x "0x${BASH_REMATCH[1]}")"* && $registers == *"RDI=$(printf %016x "0x${BASH_REMATCH[2]}")"* ]]
  # All of RAM, and what is zero takes no space.
  /usr/bin/python3 - "$TEST_DIR/out-core" "$TEST_DIR/dump-before" <<'END'
import struct, sys
core, memory = open(sys.argv[1], "rb").read(), open(sys.argv[2], "rb").read()
count = struct.unpack_from("<H", core, 56)[0]
segments = [struct.unpack_from("<IIQQQQQQ", core, 64 + 56 * n) for n in range(count)]
low = [s for s in segments if s[0] == 1 and s[4] == 0][0]
assert low[5] == len(memory), low
assert core[low[2]:low[2] + low[5]] == memory
END
  [ $(($(stat -c %b "$TEST_DIR/out-core") * 512)) -lt $((80 << 20)) ]
}

@test "a core file of a Linux guest is what QEMU's own dump of its memory is" {
  [ -n "${TLC_KERNEL:-}${TLC_INITRAMFS:-}${TLC_IMAGE:-}" ] || skip "no Linux guest: TLC_KERNEL, TLC_INITRAMFS, TLC_IMAGE are not set"
  local linux=$TEST_DIR/out-linux guest
  mkdir -p "$linux/files" "$TEST_DIR/out-image"
  jq -n '{version: 1, argv: ["/job/script"], environment: ["PATH=/usr/bin:/bin"], cwd: "/home/u/dir", uid: 1000, gid: 1000,
          groups: [1000], user: "u", group: "ug", home: "/home/u", hostname: "n1", merge_output: false, tmp_on_work: false}' >"$linux/job.json"
  printf '#!/bin/bash\nfor ((i = 0; ; ++i)); do echo $i; done\n' >"$linux/script"
  chmod 755 "$linux/script"
  "$support/boot_guest" "$linux" -L /usr/share/seabios -L /usr/share/qemu -qmp "unix:$TEST_DIR/first.sock,server=on,wait=off" \
    -qmp "unix:$TEST_DIR/first-engine.sock,server=on,wait=off" >"$TEST_DIR/out-boot" 2>&1 3>&- &
  guest=$!
  for _ in $(seq 900); do
    [ ! -s "$linux/stdout" ] || break
    kill -0 "$guest"
    sleep 0.1
  done
  [ -s "$linux/stdout" ]
  qmp first stop
  qmp first dump-guest-memory "{\"paging\": false, \"protocol\": \"file:$TEST_DIR/out-dump\"}"
  "$engine" save --qmp "$TEST_DIR/first-engine.sock" --out "$TEST_DIR/out-image"
  qmp first quit
  wait "$guest"
  exported out-image out-core elf
  run -0 "$support/compare_cores.py" "$TEST_DIR/out-core" "$TEST_DIR/out-dump"
  echo "$output"
}

@test "refusals: a file that is there, no checkpoint, an unknown format, a damaged chunk" {
  vm first tcg
  counts first 2
  saved out-image --compress never
  mkdir "$TEST_DIR/out-files"
  echo mine >"$TEST_DIR/out-files/mine"
  run -2 "$restart" export "$TEST_DIR/out-image" --format=qemu --out "$TEST_DIR/out-files/mine"
  [[ $output == *"exists already"* ]]
  [ "$(cat "$TEST_DIR/out-files/mine")" = mine ]
  run -2 "$restart" export "$TEST_DIR/out-image" --format=raw --out "$TEST_DIR/out-files/new"
  run -2 "$restart" export "$TEST_DIR/out-image" --sequence 1 --format=elf --out "$TEST_DIR/out-files/new"
  run -3 "$restart" export "$TEST_DIR/nothing" --format=elf --out "$TEST_DIR/out-files/new"
  # One bit of a stored page.
  local image=$TEST_DIR/out-image/memory.h5 at format
  at=$(/usr/bin/python3 -c '
import h5py, sys
print(h5py.File(sys.argv[1], "r")["pages"].id.get_chunk_info(7).byte_offset + 1000)' "$image")
  /usr/bin/python3 -c '
import sys
with open(sys.argv[1], "r+b") as file:
    file.seek(int(sys.argv[2])); byte = file.read(1)[0]
    file.seek(int(sys.argv[2])); file.write(bytes([byte ^ 4]))' "$image" "$at"
  for format in qemu elf; do
    run -4 "$restart" export "$TEST_DIR/out-image" --format=$format --out "$TEST_DIR/out-files/new"
    echo "$output"
    [[ $output == *"chunk 7 of"* ]]
    [ "$(ls -A "$TEST_DIR/out-files")" = mine ]
  done
}
