#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154,SC2164,SC2314
# Checkpoints taken on the node's own disk and carried to a directory that survives it.
bats_require_minimum_version 1.5.0
load helper

setup() {
  case $BATS_TEST_DESCRIPTION in
    *XFS*) storage_up xfs ;;
    *ext4*) storage_up ext4 ;;
    *) storage_up ;;
  esac
  # The file system there is the first node's own; the job's directory is on any.
  shared=$TEST_DIR/shared
  mkdir "$shared"
  cd "$TEST_DIR/job"
  writing_job
  export TLC_VM_CHECKPOINT_DIR=$shared
  node_config one "$TEST_DIR/checkpoints"
}

teardown() {
  cat err out "$(shared_job)/tlc.log" 2>/dev/null || true
  [ -z "${run_pid:-}" ] || kill -9 "$run_pid" $(pgrep -P "$run_pid") 2>/dev/null || true
  cd /
  local directory
  for directory in small two; do
    if mountpoint -q "$TEST_DIR/$directory"; then umount "$TEST_DIR/$directory"; fi
  done
  rm -f "$disk_file.two"
  storage_down
}

# node_config NAME DIRECTORY: a site configuration of a node whose own disk is DIRECTORY.
node_config() {
  sed "s#^\\[paths\\]#[paths]\\nlocal_dir = \"$2\"#" "$TLC_CONFIG" >"$TEST_DIR/$1.toml"
}

shared_job() {
  local newest
  newest=$(ls -dt "$shared"/local-*/ 2>/dev/null | head -n 1)
  echo "${newest%/}"
}
carried() { if [ -r "$(shared_job)/tlc.log" ]; then grep -c ' info carried=' "$(shared_job)/tlc.log" || true; else echo 0; fi; }
has_carried() { [ "$(carried)" -ge "$1" ]; }

second_node_up() { # second_node_up FILE-SYSTEM
  truncate -s 6G "$disk_file.two"
  "mkfs.$1" -q "$disk_file.two" >/dev/null 2>&1
  mkdir "$TEST_DIR/two"
  mount -o loop "$disk_file.two" "$TEST_DIR/two"
  chmod 1777 "$TEST_DIR/two"
  node_config two "$TEST_DIR/two"
}

start_on_one() {
  "$bin/tlc-run" --config "$TEST_DIR/one.toml" --checkpoint=5s --job-memory=900M -- ./job.sh "$@" >out 2>err 3>&- &
  run_pid=$!
}

# loses_its_node FILE-SYSTEM KIND: the first node's disk is of that kind and goes with it.
loses_its_node() {
  start_on_one 60 0.5 7
  until_true 120 has_carried 2
  sleep 1
  kill -9 "$run_pid" $(pgrep -P "$run_pid")
  wait "$run_pid" || true
  run_pid=
  # All that is in the shared directory can be restored, and is packed.
  run -0 --separate-stderr "$bin/tlc-restart" verify --all --json
  [ "$(jq 'length >= 1 and all(.whole and .disk_checked)' <<<"$output")" = true ]
  [ "$(jq -r .disk.kind "$(ls -d "$(shared_job)"/0*/ | tail -n 1)/manifest.json")" = packed ]
  local newest
  newest=$(ls -d "$TEST_DIR"/checkpoints/local-*/0*/manifest.json | tail -n 1)
  [ "$(jq -r .disk.kind "$newest")" = "$2" ]
  umount "$TEST_DIR/checkpoints"
  wipefs -qa "$disk_file"
  second_node_up "$1"
  run -7 bash -c "'$bin/tlc-restart' --config '$TEST_DIR/two.toml' run --local '$(basename "$(shared_job)")' >again 2>err"
  one_life again 60
  grep -q 'restored checkpoint=' "$(shared_job)/tlc.log"
  # It went on to take checkpoints there.
  [ "$(grep -c ' info carried=' "$(shared_job)/tlc.log")" -ge 3 ]
}

@test "a node dies with its disk (Btrfs): the job continues elsewhere from what was carried" {
  loses_its_node btrfs btrfs
}

@test "a node dies with its disk (XFS): the job continues elsewhere from what was carried" {
  loses_its_node xfs reflink
}

@test "a node dies with its disk (ext4): the job continues elsewhere from what was carried" {
  loses_its_node ext4 qcow2
}

@test "on the same node the newer checkpoint of its own disk is taken" {
  start_on_one 60 0.5 7
  until_true 90 has_carried 1
  kill -9 "$(qemu_of "$run_pid")"
  code=0
  wait "$run_pid" || code=$?
  run_pid=
  [ "$code" = 7 ]
  one_life out 60
}

@test "random damages of published checkpoints: each is found and named, or harmless" {
  start_on_one 400 0.1 7
  until_true 120 has_carried 4
  # Between two checkpoints, so that nothing changes under the copy.
  kill -STOP "$run_pid"
  local own
  own=$(ls -d "$TEST_DIR"/checkpoints/local-*)
  run -0 --separate-stderr "$TLC_BUILD/tests/random_damages" "$own" "${TLC_DAMAGES:-60}" 1
  echo "$output" | tee -a "${TLC_RESULTS:-.}/damages.json"
  [ "$(jq .wrong <<<"$output")" = 0 ]
  run -0 --separate-stderr "$TLC_BUILD/tests/random_damages" "$(shared_job)" "${TLC_DAMAGES:-60}" 2
  echo "$output" | tee -a "${TLC_RESULTS:-.}/damages.json"
  [ "$(jq .wrong <<<"$output")" = 0 ]
  kill -CONT "$run_pid"
}

@test "a job that ended well leaves nothing on the node nor in its directory" {
  start_on_one 30 0.5 0
  until_true 90 has_carried 1
  wait "$run_pid"
  run_pid=
  one_life out 30
  [ -z "$(ls "$TEST_DIR/checkpoints")" ]
  [ -z "$(ls -d "$(shared_job)"/0* 2>/dev/null)" ]
}

@test "the shared directory is full: the job goes on with what the node has, and says so" {
  truncate -s 160M "$TEST_DIR/small.img"
  mkfs.ext4 -qF "$TEST_DIR/small.img"
  mkdir -p "$TEST_DIR/small"
  mount -o loop "$TEST_DIR/small.img" "$TEST_DIR/small"
  export TLC_VM_CHECKPOINT_DIR=$TEST_DIR/small
  start_on_one 60 0.5 7
  until_true 60 compgen -G "$TEST_DIR/small/local-*/tlc.log" >/dev/null
  # Room for the log and the job's own files, not for what is carried.
  fallocate -l "$(($(df --output=avail -B1 "$TEST_DIR/small" | tail -n 1) - (4 << 20)))" "$TEST_DIR/small/ballast"
  code=0
  wait "$run_pid" || code=$?
  run_pid=
  log=$(cat "$TEST_DIR"/small/local-*/tlc.log)
  [ "$code" = 7 ]
  one_life out 60
  grep -q 'stays on this node' <<<"$log"
  grep -q ' info checkpoint=' <<<"$log"
  grep -q 'checkpoints stay on this node until there is space' err
}
