# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154,SC2164
# A cluster of three nodes with the plugin and a checkpoint directory, for one test file; jobs are an ordinary user's.

support=$BATS_TEST_DIRNAME/../../support
# Most conditions ask slurmctld.
poll=0.2

setup_file() { cluster_file_up; }

cluster_file_up() {
  storage_up
  ! nm -D "$TLC_BUILD/lib/spank_tlc.so" | grep -qE '__(asan|tsan)_init' ||
    skip "a plugin built with a sanitizer cannot be loaded into Slurm's programs"
  "$support/cluster" user tlcuser
  chown tlcuser "$TEST_DIR/job"
  # slurmctld syncs its state often; on a busy disk that alone makes nodes look dead.
  CLUSTER_DIR=$(mktemp -d /dev/shm/tlc-e2e-XXXXXX)
  chmod 755 "$CLUSTER_DIR"
  export CLUSTER_DIR
  echo "optional $TLC_BUILD/lib/spank_tlc.so launcher=$bin/tlc-run config=$TLC_CONFIG" >"$TEST_DIR/plugstack"
  "$support/cluster" start --dir "$CLUSTER_DIR/cluster" --nodes 3 --plugstack "$TEST_DIR/plugstack" >"$TEST_DIR/cluster.log" 2>&1 ||
    { cat "$TEST_DIR/cluster.log"; return 1; }
  eval "$("$support/cluster" env --dir "$CLUSTER_DIR/cluster")"
  export SLURM_CONF
  counting_job "$TEST_DIR/job/job.sh"
}

teardown_file() {
  if [ -n "${CLUSTER_DIR:-}" ]; then
    "$support/cluster" stop --dir "$CLUSTER_DIR/cluster"
    rm -rf "$CLUSTER_DIR"
  fi
  storage_down
}

as_user() { (cd "$TEST_DIR/job" && runuser -u tlcuser -- env HOME="$TEST_DIR/job" "$@"); }
submit() { as_user sbatch --parsable --mem=900M --output=job-%j.out "$@" | cut -d';' -f1; }
field() { scontrol -o show job "$1" | grep -oE "(^| )$2=[^ ]*" | head -n 1 | cut -d= -f2; }
ended() { [[ $(field "$1" JobState) =~ ^(COMPLETED|FAILED|CANCELLED|TIMEOUT|NODE_FAIL|OUT_OF_MEMORY)$ ]]; }
log_of() { echo "$TEST_DIR"/checkpoints/*-"$1"/tlc.log; }
job_has_taken() { [ "$(checkpoints_in "$(log_of "$1")")" -ge "$2" ]; }
has_booted() { grep -qs 'info booted' "$(log_of "$1")"; }
show() { cat "$(output_of "$1")" "$(log_of "$1")" 2>/dev/null || true; }
slurm_cluster() { "$support/cluster" "$1" "${@:2}" --dir "$CLUSTER_DIR/cluster"; }
# begin LINES: the file's start(), then $job has taken a checkpoint, on $node.
begin() {
  job=$(lines=$1 start --vm-checkpoint=6s)
  until_true 120 job_has_taken "$job" 1 || { show "$job"; return 1; }
  node=$(field "$job" NodeList)
}
third_node() { slurm_cluster name n3; }

output_of() { echo "$TEST_DIR/job/job-$1.out"; }
nth_line() { grep -qs "^$2 " "$(output_of "$1")"; }
# The time of the first line of the job's log with these words, in seconds.
time_of() { date -d "$(grep -m 1 -- "$2" "$(log_of "$1")" | cut -d' ' -f1)" +%s; }
completed() { # completed JOB
  until_true 240 ended "$1" || { show "$1"; return 1; }
  [ "$(field "$1" JobState)" = COMPLETED ] || { show "$1"; scontrol show job "$1"; return 1; }
}
whole() { # whole JOB LINES: it has completed, its output whole
  completed "$1"
  show "$1"
  one_life "$(output_of "$1")" "$2"
}
