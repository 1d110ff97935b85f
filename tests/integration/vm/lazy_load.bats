#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154,SC2164
# The VM runs before its memory is in. A low prefetch rate makes that last: what the guest touches comes at once.
bats_require_minimum_version 1.5.0

load engine_helper

saved() { # saved [stopped]: an image of a guest that has counted, in out-image; its memory in dump-before if it was stopped
  vm first tcg
  counts first 5
  mkdir "$TEST_DIR/out-image"
  if [ "${1:-}" = stopped ]; then
    qmp first stop
    dump first dump-before
  fi
  "$engine" save --qmp "$TEST_DIR/first-engine.sock" --out "$TEST_DIR/out-image" --compress never
  kill -9 "$(cat "$TEST_DIR/first.pid")"
}

# begin_load NAME RATE [OPTION...]: a load in the background; returns when the VM runs and memory is still to come.
begin_load() {
  local name=$1 rate=$2
  shift 2
  vm "$name" tcg -incoming defer "$@" 2>"$TEST_DIR/out-$name.err"
  "$engine" load --qmp "$TEST_DIR/$name-engine.sock" --from "$TEST_DIR/out-image" --prefetch-rate "$rate" --json \
    >"$TEST_DIR/out-load" 2>"$TEST_DIR/out-load.err" 3>&- &
  loader=$!
  echo "$loader" >"$TEST_DIR/loader.pid"
  for _ in $(seq 100); do
    [ "$(head -n 1 "$TEST_DIR/out-load" | jq -r .running 2>/dev/null)" = true ] && return 0
    sleep 0.05
  done
  cat "$TEST_DIR/out-load" "$TEST_DIR/out-load.err"
  return 1
}

ended() { # ended PID: waits for a child's end; its exit status is $status_of
  for _ in $(seq 100); do
    if ! kill -0 "$1" 2>/dev/null || [ "$(ps -o stat= -p "$1" | cut -c1)" = Z ]; then
      status_of=0
      wait "$1" || status_of=$?
      return 0
    fi
    sleep 0.1
  done
  echo "process $1 does not end"
  return 1
}

@test "a running guest goes on at once and finds every page as it left it" {
  saved
  begin_load second 1
  # At 1 MiB a second the 64 MiB that the guest counts in would take a minute.
  SECONDS=0
  counts second 3
  [ "$SECONDS" -lt 30 ]
  qmp second stop
  dump second dump-second # also by QEMU itself, page after page
  local least most
  read -r least most <<<"$(words dump-second)"
  echo "least $least most $most"
  [ $((most - least)) -le 1 ]
  [ "$least" -gt 3 ]
}

@test "when the last page is in the memory is the saved one, and the next checkpoint can be taken" {
  saved stopped
  begin_load second 20
  # Until the last page is in nothing else may be done with the memory.
  mkdir "$TEST_DIR/out-save"
  run -1 "$engine" save --qmp "$TEST_DIR/second-engine.sock" --out "$TEST_DIR/out-save"
  [[ $output == *"being loaded"* ]]
  ended "$loader"
  [ "$status_of" = 0 ]
  tail -n 1 "$TEST_DIR/out-load" | jq -e '.lazy and .latency_ms > .running_ms and .pages_loaded >= 16384'
  [ "$(qmp second query-tlc | jq -r .status)" = none ]
  dump second dump-after
  cmp "$TEST_DIR/dump-before" "$TEST_DIR/dump-after"
  run -0 "$engine" save --qmp "$TEST_DIR/second-engine.sock" --out "$TEST_DIR/out-save"
}

@test "eagerly on request" {
  saved stopped
  vm second tcg -incoming defer
  run -0 --separate-stderr "$engine" load --qmp "$TEST_DIR/second-engine.sock" --from "$TEST_DIR/out-image" --eager --json
  jq -e '(.lazy | not) and .faults == 0 and .latency_ms == .running_ms' <<<"$output"
  dump second dump-after
  cmp "$TEST_DIR/dump-before" "$TEST_DIR/dump-after"
}

@test "an engine that dies while pages are missing takes the VM with it: it never sees zeros" {
  saved stopped
  begin_load second 1
  kill -9 "$loader"
  wait "$loader" || true
  ended "$(cat "$TEST_DIR/second.pid")"
  [ "$status_of" = 1 ]
  grep "lost the rest of its memory" "$TEST_DIR/out-second.err"
}

@test "damage found late is named and ends the VM" {
  saved stopped
  # In the middle of the file: pages.
  printf 'damage' | dd of="$TEST_DIR/out-image/memory.h5" bs=1 conv=notrunc seek=$(($(stat -c %s "$TEST_DIR/out-image/memory.h5") / 2)) status=none
  begin_load second 100
  ended "$loader"
  [ "$status_of" = 4 ]
  tail -n 1 "$TEST_DIR/out-load" | jq -e '.exit_code == 4 and (.error | test("chunk [0-9]+ of .*memory.h5"))'
  ended "$(cat "$TEST_DIR/second.pid")"
  [ "$status_of" = 1 ]
  grep "chunk" "$TEST_DIR/out-second.err"
}

@test "without a userfaultfd all memory is loaded first, and it is said why" {
  [ "$(id -u)" = 0 ] || skip "only root can run QEMU as somebody who may not have a userfaultfd"
  [ "$(cat /proc/sys/vm/unprivileged_userfaultfd 2>/dev/null || echo 0)" = 0 ] || skip "everybody may have a userfaultfd here"
  saved stopped
  chmod 755 "$TEST_DIR"
  local as_nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups)
  install -d -o 65534 "$TEST_DIR/out-nobody"
  chown -R 65534 "$TEST_DIR/out-image"
  "${as_nobody[@]}" "$TLC_QEMU" -L /usr/share/seabios -L /usr/share/qemu -accel tcg -m 128 -nodefaults -no-user-config -display none \
    -qmp "unix:$TEST_DIR/out-nobody/engine.sock,server=on,wait=off" -qmp "unix:$TEST_DIR/out-nobody/qmp.sock,server=on,wait=off" \
    -drive "file=$TEST_DIR/guest.bin,format=raw,if=ide,snapshot=on" -incoming defer 3>&- &
  echo $! >"$TEST_DIR/nobody.pid"
  for _ in $(seq 100); do [ -S "$TEST_DIR/out-nobody/engine.sock" ] && break; sleep 0.1; done
  run -0 --separate-stderr "${as_nobody[@]}" "$engine" load --qmp "$TEST_DIR/out-nobody/engine.sock" --from "$TEST_DIR/out-image" --json
  jq -e '(.lazy | not) and (.fallback | test("userfaultfd"))' <<<"$output"
  [[ $stderr == *"when all its memory is loaded"* ]]
  ln -s "$TEST_DIR/out-nobody/qmp.sock" "$TEST_DIR/nobody.sock"
  dump nobody out-nobody/dump
  cmp "$TEST_DIR/dump-before" "$TEST_DIR/out-nobody/dump"
}
