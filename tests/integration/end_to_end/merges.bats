#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154,SC2164,SC2314
# Long chains of images on ext4 that are merged while the power goes, or while there is no room for it.
bats_require_minimum_version 1.5.0
load helper

setup() {
  [ "$(id -u)" = 0 ] || skip "needs root for a loop mount"
  # The disk with the ext4 is a file of an XFS: a clone of it is what a power cut would leave at that moment.
  host_file=$(mktemp "$TLC_CACHE/e2e-host-XXXXXX")
  host=$(mktemp -d /var/tmp/tlc-host-XXXXXX)
  truncate -s 12G "$host_file"
  mkfs.xfs -q -m reflink=1 "$host_file"
  mount -o loop "$host_file" "$host"
  TLC_CACHE=$host storage_up ext4
  tune2fs -m 0 "$(findmnt -no SOURCE "$TEST_DIR/checkpoints")" >/dev/null
  cd "$TEST_DIR/job"
  writing_job
  # Large files, so that a merge takes its time; and the first argument is how many seconds, not lines.
  sed -i 's/200000/3000000/; s/i <= $1/SECONDS < $1/' job.sh
}

teardown() {
  cat err out "$(job_directory)/tlc.log" 2>/dev/null || true
  [ -z "${run_pid:-}" ] || kill -9 "$run_pid" $(pgrep -P "$run_pid") 2>/dev/null || true
  cd /
  storage_down
  ! mountpoint -q "$host" || until_true 20 umount -q "$host"
  rm -rf "$host" "$host_file"
}

start() { # start INTERVAL JOB-ARGUMENTS...
  local interval=$1
  shift
  "$bin/tlc-run" --checkpoint="$interval" --job-memory=900M -- ./job.sh "$@" >out 2>err 3>&- &
  run_pid=$!
}

finished() {
  code=0
  wait "$run_pid" || code=$?
  run_pid=
}

log_has() { grep -qsE "$1" "$(job_directory)/tlc.log"; }
lines() { grep -csE "$1" "$(job_directory)/tlc.log" || true; }

has_merged() { [ "$(lines ' merged the images')" -ge "$1" ]; }
# Also between the end of QEMU's work and the removal of what is unused.
merging() { [ "$(lines ' merging the images')" -gt "$(lines ' (merged the images|the chain of images .* merging failed)')" ]; }

merged() { ! merging; }

cut() { # cut N: the disk as it is now, and what was published before
  sed -n 's/.* info checkpoint=\([0-9]*\) .*/\1/p' "$(job_directory)/tlc.log" | tail -n 1 >"$host/published-$1"
  cp --reflink=always "$disk_file" "$host/cut-$1"
}

# power_cuts N: at least so many in merges, and then one with all processes. $cuts: how many in all, in $merges merges.
power_cuts() {
  local n=0
  while [ $n -lt "$1" ]; do
    kill -0 "$run_pid" || return 1
    merging || { sleep 0.01; continue; }
    # A few of each merge, the first at once, and one that may come after its end.
    for _ in 1 2 3; do
      cut $((++n))
      sleep "0.$(printf %03d $((RANDOM % 300)))"
    done
    until_true 60 merged
    # Once more while the unused images may be on their way.
    cut $((++n))
  done
  until_true 120 merging
  cut $((++n))
  kill -9 "$run_pid" $(pgrep -P "$run_pid")
  finished
  cuts=$n
  merges=$(lines ' merging the images')
}

# power_comes_back FILE: the disk is what the cut has left.
power_comes_back() {
  until_true 20 umount -q "$TEST_DIR/checkpoints"
  mount -o loop "$1" "$TEST_DIR/checkpoints"
}

# every_checkpoint_is_whole PUBLISHED: also that one or a later one is there, and the images have no errors.
every_checkpoint_is_whole() {
  run -0 --separate-stderr "$bin/tlc-restart" verify --all --json
  [ "$(jq 'length >= 1 and all(.whole and .disk_checked)' <<<"$output")" = true ]
  local newest image
  newest=$(ls -d "$(job_directory)"/0*/manifest.json | tail -n 1)
  [ "$(jq .sequence "$newest")" -ge "$1" ]
  for image in "$(job_directory)"/0*/disk/*.qcow2; do
    [ ! -e "${image%/disk/*}/manifest.json" ] || qemu-img check -q "$image" || { echo "$image"; return 1; }
  done
}

# TLC_CUTS: how many.
@test "ext4: the power goes while chains are merged: every checkpoint is whole, and the job continues" {
  local n
  start 5s $((70 + 12 * ${TLC_CUTS:-4})) 0.2 7
  power_cuts "${TLC_CUTS:-4}"
  for n in $(seq "$cuts"); do
    power_comes_back "$host/cut-$n"
    every_checkpoint_is_whole "$(cat "$host/published-$n")"
  done
  echo "# $cuts power cuts in $merges merges: every checkpoint whole" >&3
  run -7 bash -c "'$bin/tlc-restart' run --local '$(basename "$(job_directory)")' >again 2>err"
  one_life again "$(wc -l <again)"
  [ "$(tail -n 1 progress)" = "$(tail -n 1 again)" ]
}

fill_all_but() { fallocate -l "$(($(df --output=avail -B1 "$TEST_DIR/checkpoints" | tail -n 1) - $1))" "$TEST_DIR/checkpoints/ballast"; }

has_more() { [ "$(lines "$2")" -gt "$1" ]; }

# A failure if the merge was over before the room was; then there is room again.
merge_without_room() {
  until_true 120 merging || exit 1
  kill -STOP "$(qemu_of "$run_pid")"
  waited=$(lines 'the VM waits: its disks') went_on=$(lines 'the VM goes on')
  fill_all_but $((2 << 20))
  kill -CONT "$(qemu_of "$run_pid")"
  until_true 60 merged || exit 1
  ! log_has 'merging failed: No space left on device' || return 0
  rm "$TEST_DIR/checkpoints/ballast"
  return 1
}

@test "ext4: no room in the middle of a merge: the job goes on when there is, and the chain is merged later" {
  local waited went_on before merges
  start 5s 130 0.2 7
  merge_without_room || merge_without_room || merge_without_room
  # The job writes, too.
  until_true 60 has_more "$waited" 'the VM waits: its disks'
  sleep 3
  rm "$TEST_DIR/checkpoints/ballast"
  until_true 30 has_more "$went_on" 'the VM goes on'
  before=$(checkpoints_taken)
  merges=$(lines ' merged the images')
  until_true 60 has_taken $((before + 2))
  until_true 60 has_merged $((merges + 2))
  kill -9 "$(qemu_of "$run_pid")"
  finished
  [ "$code" = 7 ]
  one_life out "$(wc -l <out)"
  [ "$(tail -n 1 progress)" = "$(tail -n 1 out)" ]
  every_checkpoint_is_whole 1
}
