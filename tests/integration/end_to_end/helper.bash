# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154,SC2034
# A checkpoint directory on a file system of its own and a job directory, for one test file. What
# tests/support/setup prints must be in the environment.

storage_up() { # storage_up [FILE-SYSTEM]
  local system=${1:-btrfs} options=loop
  [ "$system" != btrfs ] || options=loop,user_subvol_rm_allowed
  [ "$(id -u)" = 0 ] || skip "needs root for a loop mount"
  for name in TLC_BUILD TLC_QEMU TLC_KERNEL TLC_INITRAMFS TLC_IMAGE TLC_CONFIG; do
    [ -n "${!name:-}" ] || { echo "$name is not set; run the tests with tests/run" >&2; return 1; }
  done
  bin=$TLC_BUILD/bin
  TEST_DIR=$(mktemp -d /var/tmp/tlc-e2e-XXXXXX)
  chmod 755 "$TEST_DIR"
  disk_file=$(mktemp "$TLC_CACHE/e2e-disk-XXXXXX")
  export TEST_DIR bin disk_file
  truncate -s 6G "$disk_file"
  "mkfs.$system" -q "$disk_file" >/dev/null 2>&1
  mkdir "$TEST_DIR/checkpoints" "$TEST_DIR/job"
  # Also where it is not mounted: a job could begin there.
  chmod 1777 "$TEST_DIR/checkpoints"
  mount -o "$options" "$disk_file" "$TEST_DIR/checkpoints"
  chmod 1777 "$TEST_DIR/checkpoints"
  export TLC_VM_CHECKPOINT_DIR=$TEST_DIR/checkpoints
}

storage_down() {
  [ -n "${TEST_DIR:-}" ] || return 0
  # A process that was just killed may still be there.
  ! mountpoint -q "$TEST_DIR/checkpoints" || until_true 20 umount -q "$TEST_DIR/checkpoints"
  rm -rf "$TEST_DIR" "$disk_file"
}

# A job that lives in guest memory: a nonce, and a counter it prints. Arguments: lines, seconds between, exit.
counting_job() {
  cat >"$1" <<'EOF'
#!/bin/bash
nonce=$(cat /proc/sys/kernel/random/uuid)
for ((i = 1; i <= $1; i++)); do
  echo "$i $nonce"
  sleep "$2"
done
case $3 in
  KILL|TERM|USR1) kill -s "$3" $$ ;;
esac
exit "$3"
EOF
  chmod 755 "$1"
}

# A new job directory, entered, with a counting job.sh in it.
counting_job_up() {
  rm -rf "$TEST_DIR/job"
  mkdir "$TEST_DIR/job"
  cd "$TEST_DIR/job"
  counting_job job.sh
}

# After a test of tlc-run on Btrfs: what helps if it failed, then the end of what it left.
local_job_down() {
  local directory part
  cat err "$(job_directory)/tlc.log" 2>/dev/null || true
  [ -z "${run_pid:-}" ] || kill -9 "$run_pid" $(pgrep -P "$run_pid") 2>/dev/null || true
  for directory in "$TEST_DIR"/checkpoints/local-*; do
    [ -d "$directory" ] || continue
    for part in "$directory"/live-* "$directory"/0*/disk; do
      [ ! -d "$part" ] || btrfs -q subvolume delete "$part" >/dev/null
    done
    rm -rf "$directory"
  done
}

# job.sh: changes both disks all the time, and notices when one of them is not as it was left.
writing_job() {
  cat >job.sh <<'EOS'
#!/bin/bash
# Arguments: lines, seconds between, exit.
nonce=$(cat /proc/sys/kernel/random/uuid)
mkdir -p /var/tmp/log
for ((i = 1; i <= $1; i++)); do
  for directory in . /var/tmp/log; do
    [ "$i" = 1 ] || [ "$(tail -n 1 "$directory/progress")" = "$((i - 1)) $nonce" ] || { echo "$directory is not as it was"; exit 99; }
    echo "$i $nonce" >>"$directory/progress"
    head -c 200000 /dev/urandom >"$directory/file-$((i % 20))"
    sha256sum "$directory/file-$((i % 20))" >"$directory/sum-$((i % 20))"
    sync "$directory/progress"
  done
  echo "$i $nonce"
  sleep "$2"
done
for directory in . /var/tmp/log; do sha256sum --quiet -c "$directory"/sum-* || exit 98; done
exit "$3"
EOS
  chmod 755 job.sh
}

# one_life FILE LINES: the file holds lines 1 to LINES once each, all with one nonce: restored, not rebooted.
one_life() {
  local file=$1 lines=$2
  [ "$(awk '{print $1}' "$file")" = "$(seq "$lines")" ] || { echo "not 1 to $lines once each:"; cat "$file"; return 1; }
  [ "$(awk '{print $2}' "$file" | sort -u | wc -l)" = 1 ] || { echo "more than one nonce:"; cat "$file"; return 1; }
}

# until_true SECONDS COMMAND...: runs it again and again until it succeeds.
poll=0.02
until_true() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    [ $SECONDS -lt $end ] || { echo "not within the time: $*"; return 1; }
    sleep "$poll"
  done
}

job_directory() {
  local newest
  newest=$(ls -dt "$TEST_DIR"/checkpoints/local-*/ 2>/dev/null | head -n 1)
  echo "${newest%/}"
}
checkpoints_in() { if [ -r "$1" ]; then grep -c ' info checkpoint=' "$1" || true; else echo 0; fi; }
checkpoints_taken() { checkpoints_in "$(job_directory)/tlc.log"; }
has_taken() { [ "$(checkpoints_taken)" -ge "$1" ]; }

# The QEMU and engine processes below a tlc-run.
qemu_of() { pgrep -P "$1" -f qemu-system; }
engine_of() { pgrep -P "$1" -x tlc-engine; }
