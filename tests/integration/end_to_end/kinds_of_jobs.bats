#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154,SC2164,SC2016
# Kinds of jobs, and nodes that are not alike, in a real cluster of three nodes. What is refused by sbatch is in
# slurm/submit_checks.bats. Jobs of later tests are submitted at once, to compute beside those of earlier ones.
bats_require_minimum_version 1.5.0
load helper
load cluster_helper

setup_file() {
  cluster_file_up
  # As many sites have it.
  echo JobRequeue=0 >>"$SLURM_CONF"
  scontrol reconfigure
  # Under the path that tlc.toml names each node has a QEMU of its own: where the file "old" names the node, one that
  # does not know the machine type of the checkpoints.
  touch "$TEST_DIR/old"
  cat >"$TEST_DIR/qemu" <<END
#!/bin/bash
if grep -qx "\$(hostname)" "$TEST_DIR/old"; then
  [ "\$*" = "-machine help" ] || { echo "unsupported machine type" >&2; exit 1; }
  "$TLC_QEMU" "\$@" | grep -v '^pc-q35-10'
  exit
fi
exec "$TLC_QEMU" "\$@"
END
  chmod 755 "$TEST_DIR/qemu"
  sed "s#^qemu = .*#qemu = \"$TEST_DIR/qemu\"#" "$TLC_CONFIG" >"$TEST_DIR/tlc.toml"
  grep -qF "$TEST_DIR/qemu" "$TEST_DIR/tlc.toml"
  sed -i "s#config=.*#config=$TEST_DIR/tlc.toml#" "$CLUSTER_DIR/cluster/plugstack.conf"
  cat >"$TEST_DIR/job/environment.sh" <<'END'
#!/bin/bash
echo "MINE=${MINE-unset} OTHER=${OTHER-unset}"
echo "HOME=$HOME USER=$USER SUBMITTED=$SLURM_SUBMIT_DIR"
compgen -e | sort
END
  # A job that is not in a VM, and submits one that is and one that is not.
  cat >"$TEST_DIR/job/outer.sh" <<'END'
#!/bin/bash
sbatch --parsable --mem=900M --output=job-%j.out --vm-checkpoint=1h job.sh 3 0 0
sbatch --parsable --mem=100M --output=job-%j.out environment.sh
END
  {
    for export in NONE MINE ALL; do
      echo "$export=$(MINE=mine OTHER=other submit --export=$export --vm-checkpoint=1h environment.sh)"
      echo "plain_$export=$(MINE=mine OTHER=other submit --export=$export --mem=100M environment.sh)"
    done
    echo "once=$(submit --vm-checkpoint=1h --no-requeue environment.sh)"
    echo "outer=$(submit --mem=100M outer.sh)"
    echo "failing=$(submit --vm-checkpoint=6s --vm-checkpoint-continue job.sh 20 0.5 7)"
  } >"$TEST_DIR/jobs"
}

setup() {
  # shellcheck source=/dev/null
  . "$TEST_DIR/jobs"
}

is() { [ "$(field "$1" "$2")" = "$3" ]; }
comment_of() { squeue -h -t all -j "$1" --Format=JobID:\|,Comment: | sed -n "s/^$1|//p"; }
# The time in the job's comment is that of one of its own checkpoints.
own_comment() {
  local time
  time=$(comment_of "$1" | grep -oE '[0-9]{4}-[0-9-]*T[0-9:]*Z')
  [ -n "$time" ] && grep -l "\"created\": *\"$time\"" "$TEST_DIR"/checkpoints/*-"$1"/0*/manifest.json
}

@test "--export: the script in a VM sees what it would see without one" {
  local export
  for export in NONE MINE ALL; do
    local vm=${!export} name=plain_$export
    local plain=${!name}
    completed "$vm"
    completed "$plain"
    grep -q 'info booted' "$(log_of "$vm")"
    diff "$(output_of "$plain")" "$(output_of "$vm")" || true
    [ "$(head -n 2 "$(output_of "$vm")")" = "$(head -n 2 "$(output_of "$plain")")" ]
  done
  grep -q '^MINE=unset OTHER=unset$' "$(output_of "$NONE")"
  grep -q '^MINE=mine OTHER=unset$' "$(output_of "$MINE")"
  grep -q '^MINE=mine OTHER=other$' "$(output_of "$ALL")"
}

@test "jobs in a VM are requeued also where others are not, unless they say --no-requeue" {
  is "$plain_ALL" Requeue 0
  is "$ALL" Requeue 1
  grep -q 'Slurm may requeue the job now' "$(log_of "$ALL")"
  completed "$once"
  is "$once" Requeue 0
  run ! grep -q 'may requeue' "$(log_of "$once")"
}

@test "a job may submit others, with and without a VM" {
  local inner
  completed "$outer"
  mapfile -t inner <"$(output_of "$outer")"
  whole "${inner[0]}" 3
  grep -q 'info booted' "$(log_of "${inner[0]}")"
  completed "${inner[1]}"
  run ! compgen -G "$TEST_DIR/checkpoints/*-${inner[1]}"
}

@test "tlc-restart run continues a job also where SBATCH_EXPORT says NONE" {
  local again newest
  until_true 120 ended "$failing" || { show "$failing"; return 1; }
  [ "$(field "$failing" ExitCode)" = 7:0 ]
  newest=$(as_user "$bin/tlc-restart" --checkpoint-dir="$TEST_DIR/checkpoints" show --json "$failing" | jq .manifest.sequence)
  run -0 as_user env TLC_VM_CHECKPOINT_DIR="$TEST_DIR/checkpoints" "$bin/tlc-restart" run --dry-run --sequence="$newest" "$failing"
  [[ $output == "env SLURM_TLC_RESTART_FROM="*" SLURM_TLC_RESTART_SEQUENCE=$newest sbatch "*" --vm-checkpoint=6s "*" --vm-checkpoint-continue=yes "*"/script 20 0.5 7" ]]
  run -0 as_user env SBATCH_EXPORT=NONE TLC_VM_CHECKPOINT_DIR="$TEST_DIR/checkpoints" "$bin/tlc-restart" run "$failing" -- --output=job-%j.out
  again=${output##* }
  until_true 120 ended "$again" || { show "$again"; return 1; }
  show "$again"
  [ "$(field "$again" ExitCode)" = 7:0 ]
  diff "$(output_of "$failing")" "$(output_of "$again")"
}

@test "an array: one task is preempted, the node of the other dies, and each continues by itself" {
  local master first node
  master=$(submit --array=1-2 --cpus-per-task=2 --vm-checkpoint=6s job.sh 60 0.5 0)
  until_true 60 is "${master}_1" JobState RUNNING
  first=$(field "${master}_1" JobId)
  # The last task has the array's number.
  [ "$(field "${master}_2" JobId)" = "$master" ]
  [ "$first" != "$master" ]
  until_true 120 job_has_taken "$first" 1 || { show "$first"; return 1; }
  until_true 120 job_has_taken "$master" 1 || { show "$master"; return 1; }
  until_true 30 own_comment "$first"
  until_true 30 own_comment "$master"
  node=$(field "${master}_2" NodeList)
  as_user sbatch --partition=high --nodelist="$node" --cpus-per-task=2 --mem=100M --output=/dev/null --wrap 'sleep 3'
  until_true 60 is "${master}_2" Restarts 1
  is "${master}_1" Restarts 0
  node=$(field "${master}_1" NodeList)
  slurm_cluster power-off "$node"
  slurm_cluster down "$node"
  whole "$first" 60
  whole "$master" 60
  is "$first" Restarts 1
  is "${master}_2" Restarts 1
  for job in $first $master; do grep -q 'restored checkpoint=' "$(log_of "$job")"; done
  slurm_cluster power-on "$node"
  until_true 60 slurm_cluster status
}

@test "nodes that cannot restore a checkpoint are left out, and with none left the job waits and says why" {
  local job pinned node here others
  job=$(submit --vm-checkpoint=6s job.sh 60 0.5 0)
  until_true 60 is "$job" JobState RUNNING
  here=$(field "$job" NodeList)
  pinned=$(submit --vm-checkpoint=6s --nodelist="$here" job.sh 60 0.5 0)
  until_true 120 job_has_taken "$job" 1 || { show "$job"; return 1; }
  until_true 120 job_has_taken "$pinned" 1 || { show "$pinned"; return 1; }
  # The one node that could take it is not to be had at first.
  mapfile -t others < <(sinfo -h -N -p low -o %N | grep -vx "$here")
  printf '%s\n' "$here" "${others[0]}" >"$TEST_DIR/old"
  scontrol update nodename="${others[1]}" state=drain reason=test
  as_user scontrol requeue "$job"
  as_user scontrol requeue "$pinned"
  until_true 90 eval '[[ $(comment_of "$job") == *"not continued on ${others[0]}: "* ]]' || { show "$job"; scontrol show job "$job"; return 1; }
  [[ $(comment_of "$job") == *"has no machine type pc-q35-10.0"* ]]
  until_true 30 is "$pinned" Reason BadConstraints || { show "$pinned"; scontrol show job "$pinned"; return 1; }
  [[ $(comment_of "$pinned") == *"not continued on $here: "*"has no machine type"* ]]
  # Nothing was begun there.
  for node in "$here" "${others[0]}"; do
    grep "requeued, to continue on another node than $node" "$(log_of "$job")"
  done
  scontrol update nodename="${others[1]}" state=resume
  whole "$job" 60
  is "$job" NodeList "${others[1]}"
  # The node gets what it lacked.
  : >"$TEST_DIR/old"
  as_user scontrol update jobid="$pinned" ExcNodeList=
  as_user scontrol release "$pinned"
  whole "$pinned" 60
  is "$pinned" NodeList "$here"
}
