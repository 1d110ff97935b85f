#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154,SC2164
# A job that has to leave its node while a chain of its images is merged.
bats_require_minimum_version 1.5.0
load helper

support=$BATS_TEST_DIRNAME/../../support

setup() {
  storage_up ext4
  "$support/cluster" user tlcuser
  chown tlcuser "$TEST_DIR/job"
  CLUSTER_DIR=$(mktemp -d /dev/shm/tlc-e2e-XXXXXX)
  chmod 755 "$CLUSTER_DIR"
  echo "optional $TLC_BUILD/lib/spank_tlc.so launcher=$bin/tlc-run config=$TLC_CONFIG" >"$TEST_DIR/plugstack"
  "$support/cluster" start --dir "$CLUSTER_DIR/cluster" --nodes 2 --plugstack "$TEST_DIR/plugstack" >"$TEST_DIR/cluster.log" 2>&1 ||
    { cat "$TEST_DIR/cluster.log"; return 1; }
  eval "$("$support/cluster" env --dir "$CLUSTER_DIR/cluster")"
  export SLURM_CONF
  # While QEMU is stopped by the test the supervisor waits for its answers, seconds each.
  sed -i 's/^KillWait=.*/KillWait=30/' "$SLURM_CONF"
  scontrol reconfigure
  cd "$TEST_DIR/job"
  writing_job
}

teardown() {
  cat "$TEST_DIR"/job/job-*.out "$(log)" 2>/dev/null || true
  [ -z "${stopped:-}" ] || kill -CONT "$stopped" 2>/dev/null || true
  cd /
  if [ -n "${CLUSTER_DIR:-}" ]; then
    "$support/cluster" stop --dir "$CLUSTER_DIR/cluster"
    rm -rf "$CLUSTER_DIR"
  fi
  storage_down
}

as_user() { (cd "$TEST_DIR/job" && runuser -u tlcuser -- env HOME="$TEST_DIR/job" "$@"); }
log() { echo "$TEST_DIR"/checkpoints/*-"$job"/tlc.log; }
log_has() { grep -qsE "$1" "$(log)"; }
ended() { scontrol -o show job "$job" | grep -qE 'JobState=(COMPLETED|FAILED|CANCELLED|TIMEOUT|NODE_FAIL)'; }

@test "requeued in the middle of a merge: it is cancelled, and a last checkpoint is taken" {
  job=$(as_user sbatch --parsable --mem=900M --output=job-%j.out --vm-checkpoint=5s job.sh 140 0.5 0 | cut -d';' -f1)
  until_true 180 log_has 'merging the images of the drive root'
  # It stays in the middle until TERM has come.
  stopped=$(pgrep -f "qemu-system.*$TEST_DIR/checkpoints/[a-z0-9]*-$job/live-")
  kill -STOP "$stopped"
  local taken
  taken=$(checkpoints_in "$(log)")
  as_user scontrol requeue "$job"
  until_true 30 log_has 'signal 15 arrived'
  kill -CONT "$stopped"
  until_true 60 log_has 'time for a last checkpoint'
  until_true 120 log_has "restored checkpoint=$((taken + 1)) "
  log_has 'merg(ing of the images of the drive root is cancelled|ed the images of the drive root)'
  until_true 240 ended
  scontrol -o show job "$job" | grep -q 'JobState=COMPLETED'
  one_life "$TEST_DIR/job/job-$job.out" 140
}
