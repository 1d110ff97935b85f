# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154,SC2016,SC2034
# A cluster for one test file, with the plugin of TLC_BUILD (the CMake build directory) and an ordinary user.

test_user=tlcuser
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cluster=$here/../../support/cluster

# cluster_up [PLUGSTACK-ARGUMENT...]; every argument after the launcher's goes to the plugin.
cluster_up() {
  [ "$(id -u)" = 0 ] || skip "needs root for network namespaces"
  [ -r "${TLC_BUILD:?set TLC_BUILD to the CMake build directory}/lib/spank_tlc.so" ] ||
    { echo "no $TLC_BUILD/lib/spank_tlc.so; build the target spank_tlc first" >&2; return 1; }
  ! nm -D "$TLC_BUILD/lib/spank_tlc.so" | grep -qE '__(asan|tsan)_init' ||
    skip "a plugin built with a sanitizer cannot be loaded into Slurm's programs"
  TEST_DIR=$(mktemp -d /dev/shm/tlc-slurm-XXXXXX)
  export TEST_DIR
  chmod 0755 "$TEST_DIR"
  "$cluster" user "$test_user"
  cp "$TLC_BUILD/lib/spank_tlc.so" "$here/stand_in_launcher" "$TEST_DIR/"
  install -d -o "$test_user" "$TEST_DIR/work" "$TEST_DIR/tmp"
  printf '%s\n' "${PLUGSTACK_MODE:-optional} $TEST_DIR/spank_tlc.so launcher=$TEST_DIR/stand_in_launcher $*" \
    >"$TEST_DIR/plugstack"
  "$cluster" start --dir "$TEST_DIR/cluster" --nodes 2 --plugstack "$TEST_DIR/plugstack" \
    ${JOB_SUBMIT:+--job-submit "$JOB_SUBMIT"}
  eval "$("$cluster" env --dir "$TEST_DIR/cluster")"
  printf '#!/bin/bash\necho "script: $*"\nexit "${1:-0}"\n' >"$TEST_DIR/work/job.sh"
}

cluster_down() {
  [ -n "${TEST_DIR:-}" ] || return 0
  "$cluster" stop --dir "$TEST_DIR/cluster"
  mountpoint -q "$TEST_DIR/btrfs" && umount "$TEST_DIR/btrfs"
  rm -rf "$TEST_DIR"
}

# A small Btrfs that the user may write to, as $TEST_DIR/btrfs.
make_btrfs() {
  truncate -s 256M "$TEST_DIR/btrfs.img"
  mkfs.btrfs -q "$TEST_DIR/btrfs.img" || return 1
  mkdir "$TEST_DIR/btrfs"
  mount -o loop "$TEST_DIR/btrfs.img" "$TEST_DIR/btrfs" || return 1
  chmod 1777 "$TEST_DIR/btrfs"
}

# Runs a command as the user in the work directory, with no more environment than needed.
as_user() {
  (cd "$TEST_DIR/work" && runuser -u "$test_user" -- env -u TEST_DIR -u TLC_BUILD "$@")
}

# wait_for JOB: until it (every task of it, for an array) has ended. Quicker than sbatch --wait, which looks
# every ten seconds.
wait_for() {
  for _ in $(seq 600); do
    [ -z "$(squeue -h -j "$1" 2>/dev/null)" ] && return 0
    sleep 0.1
  done
  echo "job $1 did not end in 60 s" >&2
  return 1
}

# submit ARGUMENT...: sbatch, until the job's end; its output is $TEST_DIR/work/out, its id $job, its end $state.
submit() {
  rm -f "$TEST_DIR/work/out"
  run as_user sbatch --parsable --output=out "$@"
  job=${lines[-1]%%;*}
  [[ $job =~ ^[0-9]+$ ]] || { echo "not submitted: $output" >&2; return 1; }
  wait_for "$job" || return 1
  state=$(scontrol -o show job "$job" | tail -1 | grep -oE '(JobState|ExitCode)=[^ ]*' | paste -sd' ')
}

job_count() { squeue -h -t all -o %i | wc -l; }

# refused TEXT ARGUMENT...: sbatch with these arguments fails, prints TEXT, and submits nothing.
refused() {
  local text=$1 before
  shift
  before=$(job_count)
  run as_user sbatch --parsable "$@"
  echo "exit code $status, printed: $output"
  [ "$status" -ne 0 ] || return 1
  [[ $output == *"$text"* ]] || return 1
  [ "$(job_count)" = "$before" ]
}

in_output() {
  grep -qF -- "$1" "$TEST_DIR/work/out" && return 0
  echo "no \"$1\" in:" && cat "$TEST_DIR/work/out"
  return 1
}

not_in_output() { ! in_output "$1" >/dev/null; }

nodes_usable() { "$cluster" status --dir "$TEST_DIR/cluster"; }
