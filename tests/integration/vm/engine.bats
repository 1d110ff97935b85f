#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154,SC2164
# tlc-engine by hand, see engine_helper.bash; under KVM wherever /dev/kvm opens, under TCG always.
bats_require_minimum_version 1.5.0

load engine_helper

# same_memory ACCELERATOR BEFORE AFTER IMAGE: what was dumped before the save is in the image and in the VM after
# the load. Under KVM a load, also one of QEMU's own migration, changes bytes of the BIOS's data below 1 MiB
# (seen: two): there only the image is compared.
same_memory() {
  local page
  if [ "$1" != kvm ]; then
    cmp "$2" "$3"
    return
  fi
  cmp -n $((0xe0000)) "$2" "$3"
  cmp -i $((0x100000)) "$2" "$3"
  for page in $(seq $((0xe0)) $((0xff))); do
    /usr/bin/python3 "$support/read_image.py" "$4" pc.ram "$page" >"$TEST_DIR/out-page"
    cmp -n 4096 "$TEST_DIR/out-page" <(tail -c +$((page * 4096 + 1)) "$2")
  done
}

saved_and_restored() { # saved_and_restored ACCELERATOR KIND
  vm first "$1"
  counts first 5
  mkdir "$TEST_DIR/out-running" "$TEST_DIR/out-stopped"
  run -0 --separate-stderr "$engine" save --qmp "$TEST_DIR/first-engine.sock" --out "$TEST_DIR/out-running" --capture "$2" --json
  [ "$(jq -r 'has("pause_ms") and has("latency_ms") and has("ram_bytes") and has("stored_bytes") and has("pages_saved") and
      has("pages_zero") and has("faults") and has("buffer_peak_bytes")' <<<"$output")" = true ]
  [ "$(jq .pages_saved <<<"$output")" -ge 16384 ]
  [ "$2" = auto ] || [ "$(jq -r .capture <<<"$output")" = "$2" ]

  # Of a VM that stands still the memory can be compared byte by byte.
  qmp first stop
  dump first dump-before
  run -0 --separate-stderr "$engine" save --qmp "$TEST_DIR/first-engine.sock" --out "$TEST_DIR/out-stopped" --capture "$2" --json
  [ "$(qmp first query-status | jq -r .running)" = false ]
  local before least most
  read -r least before <<<"$(words dump-before)"
  kill -9 "$(cat "$TEST_DIR/first.pid")"

  vm second "$1" -incoming defer
  run -0 --separate-stderr "$engine" load --qmp "$TEST_DIR/second-engine.sock" --from "$TEST_DIR/out-stopped" --json
  [ "$(qmp second query-status | jq -r .running)" = false ]
  dump second dump-after
  same_memory "$1" "$TEST_DIR/dump-before" "$TEST_DIR/dump-after" "$TEST_DIR/out-stopped/memory.h5"
  kill -9 "$(cat "$TEST_DIR/second.pid")"

  # And of one that ran, no two counters may be more than one apart, and they go on.
  vm third "$1" -incoming defer
  run -0 --separate-stderr "$engine" load --qmp "$TEST_DIR/third-engine.sock" --from "$TEST_DIR/out-running" --json
  counts third 3
  qmp third stop
  dump third dump-third
  read -r least most <<<"$(words dump-third)"
  echo "least $least most $most"
  [ $((most - least)) -le 1 ]
  [ "$least" -gt 3 ]
}

@test "a bare-metal guest under TCG is saved while it runs and restored, its memory identical" {
  saved_and_restored tcg auto
}

@test "the same by dirty log, in every variant" {
  local kind
  for kind in log:nonstop log:20 mem:20 log:onepass; do
    echo "$kind"
    saved_and_restored tcg "$kind"
    teardown
  done
}

@test "a capture by log tells its working set, its table and what it left out" {
  vm first tcg
  counts first 5
  mkdir "$TEST_DIR/out-image"
  run -0 --separate-stderr "$engine" save --qmp "$TEST_DIR/first-engine.sock" --out "$TEST_DIR/out-image" --capture log:5 --json
  # The guest writes 16384 pages over and over.
  [ "$(jq '.working_set_pages >= 16384 and .table_pages > 0 and .table_pages <= .working_set_pages' <<<"$output")" = true ]
  [ "$(jq '.hold_ms > 0 and .pause_ms > 0' <<<"$output")" = true ]
  run -2 "$engine" save --qmp "$TEST_DIR/first-engine.sock" --out "$TEST_DIR" --capture log:0
  [[ $output == *"log:nonstop"* ]]
}

@test "without a userfaultfd memory is captured by dirty log, and it is said why" {
  [ "$(id -u)" = 0 ] || skip "only root can run QEMU as somebody who may not have a userfaultfd"
  [ "$(cat /proc/sys/vm/unprivileged_userfaultfd 2>/dev/null || echo 0)" = 0 ] || skip "everybody may have a userfaultfd here"
  chmod 755 "$TEST_DIR"
  local as_nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups)
  install -d -o 65534 "$TEST_DIR/out-nobody" "$TEST_DIR/out-image"
  chown 65534 "$TEST_DIR/out-image"
  "${as_nobody[@]}" "$TLC_QEMU" -L /usr/share/seabios -L /usr/share/qemu -accel tcg -m 128 -nodefaults -no-user-config -display none \
    -qmp "unix:$TEST_DIR/out-nobody/engine.sock,server=on,wait=off" \
    -drive "file=$TEST_DIR/guest.bin,format=raw,if=ide,snapshot=on" 3>&- &
  echo $! >"$TEST_DIR/nobody.pid"
  for _ in $(seq 100); do [ -S "$TEST_DIR/out-nobody/engine.sock" ] && break; sleep 0.1; done
  run -0 --separate-stderr "${as_nobody[@]}" "$engine" save --qmp "$TEST_DIR/out-nobody/engine.sock" --out "$TEST_DIR/out-image" --json
  [ "$(jq -r .capture <<<"$output")" = log:nonstop ]
  [[ $(jq -r .fallback <<<"$output") == *userfaultfd* ]]
  [[ $stderr == *"dirty log instead"* ]]
  rm -rf "$TEST_DIR/out-image"
  install -d -o 65534 "$TEST_DIR/out-image"
  run -1 "${as_nobody[@]}" "$engine" save --qmp "$TEST_DIR/out-nobody/engine.sock" --out "$TEST_DIR/out-image" --capture cow
  [[ $output == *"vm.unprivileged_userfaultfd"* ]]
}

@test "a bare-metal guest under KVM is saved while it runs and restored, its memory identical" {
  [ -c /dev/kvm ] || skip "there is no /dev/kvm on this machine"
  (: <>/dev/kvm) 2>/dev/null || skip "/dev/kvm does not open on this machine"
  saved_and_restored kvm auto
  teardown
  saved_and_restored kvm log:nonstop
}

# served ACCELERATOR: three images by one engine; the guest writes in between, and stands still for the last one.
served() {
  vm first "$1"
  counts first 5
  mkdir "$TEST_DIR"/out-{1,2,3}
  coproc ENGINE { "$engine" serve --qmp "$TEST_DIR/first-engine.sock" 3>&-; }
  local n answer before
  for n in 1 2 3; do
    [ "$n" = 1 ] || counts first $(($(passes first) + 3))
    if [ "$n" = 3 ]; then
      qmp first stop
      dump first dump-before
    fi
    echo "{\"out\": \"$TEST_DIR/out-$n\"}" >&"${ENGINE[1]}"
    read -r -t 60 answer <&"${ENGINE[0]}"
    echo "$answer"
    [ "$(jq -r 'has("error")' <<<"$answer")" = false ]
    [ "$(jq -r '.parent == ""' <<<"$answer")" = "$([ "$n" = 1 ] && echo true || echo false)" ]
  done
  # The guest counts in 16384 pages; the rest has not changed.
  [ "$(jq '.pages_saved >= 16384 and .pages_saved < 17000 and .pages_older > 0 and .pages_copied >= 16384' <<<"$answer")" = true ]
  [ "$(jq -r '.older | length > 0' <<<"$answer")" = true ]
  echo '{"out": "/nowhere"}' >&"${ENGINE[1]}"
  read -r -t 60 answer <&"${ENGINE[0]}"
  [ "$(jq -r .exit_code <<<"$answer")" = 2 ]
  exec {ENGINE[1]}>&-
  wait "$ENGINE_PID" || true
  kill -9 "$(cat "$TEST_DIR/first.pid")"
  # An image needs its own directory only.
  rm -r "$TEST_DIR"/out-{1,2}

  vm second "$1" -incoming defer
  run -0 --separate-stderr "$engine" load --qmp "$TEST_DIR/second-engine.sock" --from "$TEST_DIR/out-3" --json
  [ "$(qmp second query-status | jq -r .running)" = false ]
  dump second dump-after
  same_memory "$1" "$TEST_DIR/dump-before" "$TEST_DIR/dump-after" "$TEST_DIR/out-3/memory.h5"
  # Two pages by the independent reader: one the guest counts in, and one that is in an older file.
  for n in 256 0; do
    /usr/bin/python3 "$support/read_image.py" "$TEST_DIR/out-3/memory.h5" pc.ram "$n" >"$TEST_DIR/out-page"
    cmp -n 4096 "$TEST_DIR/out-page" <(tail -c +$((n * 4096 + 1)) "$TEST_DIR/dump-before")
  done
}

@test "an engine that stays: each image holds what has changed, and is restored with the files it needs" {
  served tcg
}

@test "the same under KVM" {
  [ -c /dev/kvm ] || skip "there is no /dev/kvm on this machine"
  (: <>/dev/kvm) 2>/dev/null || skip "/dev/kvm does not open on this machine"
  served kvm
}

@test "a known page of the guest is read from the image with h5py, and HDF5's tools show it" {
  vm first tcg
  counts first 5
  qmp first stop
  dump first dump-before
  mkdir "$TEST_DIR/out-image"
  run -0 "$engine" save --qmp "$TEST_DIR/first-engine.sock" --out "$TEST_DIR/out-image"
  run -0 h5dump -H "$TEST_DIR/out-image/memory.h5"
  run -0 h5ls -r "$TEST_DIR/out-image/memory.h5"
  # The first page the guest counts in: 1 MiB into its memory.
  /usr/bin/python3 "$support/read_image.py" "$TEST_DIR/out-image/memory.h5" pc.ram 256 >"$TEST_DIR/out-page"
  cmp -n 4096 "$TEST_DIR/out-page" <(tail -c +$((0x100000 + 1)) "$TEST_DIR/dump-before")
}

@test "refusals of the engine: a full directory, no QEMU, no checkpoint, another machine" {
  vm first tcg
  mkdir "$TEST_DIR/out-image"
  run -0 "$engine" save --qmp "$TEST_DIR/first-engine.sock" --out "$TEST_DIR/out-image"
  run -2 "$engine" save --qmp "$TEST_DIR/first-engine.sock" --out "$TEST_DIR/out-image"
  [[ $output == *"holds a checkpoint already"* ]]
  run -1 "$engine" save --qmp "$TEST_DIR/nobody.sock" --out "$TEST_DIR"
  [[ $output == *"nobody.sock"* ]]
  run -3 "$engine" load --qmp "$TEST_DIR/first-engine.sock" --from "$TEST_DIR"
  [[ $output == *"holds no checkpoint"* ]]
  # QEMU that runs does not wait for a checkpoint.
  run -1 "$engine" load --qmp "$TEST_DIR/first-engine.sock" --from "$TEST_DIR/out-image"
  [ "$(qmp first query-status | jq -r .running)" = true ]
  vm second tcg -incoming defer -device virtio-rng-pci -vga std
  run -5 "$engine" load --qmp "$TEST_DIR/second-engine.sock" --from "$TEST_DIR/out-image"
  [[ $output == *"same devices"* ]]
}
