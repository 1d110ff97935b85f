#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# tlc.lua in a site's job_submit.lua, on a cluster with JobRequeue=0.
load helper
bats_require_minimum_version 1.5.0

setup_file() {
  site=$(mktemp -d /dev/shm/tlc-slurm-XXXXXX)
  export site JOB_SUBMIT=$site/job_submit.lua
  chmod 0755 "$site"
  cp "$here/../../../spank-plugin/job_submit/tlc.lua" "$site/"
  site_script
  cluster_up
}
teardown_file() {
  cluster_down
  rm -rf "${site:?}"
}

# site_script [LINE]: as a site writes it, with LINE at the begin of slurm_job_submit.
site_script() {
  cat >"$JOB_SUBMIT" <<END
local found, tlc = pcall(dofile, "$site/tlc.lua")
function slurm_job_submit(job, partitions, uid)
    ${1:-}
    if found then tlc.job_submit(job) end
    return slurm.SUCCESS
end
function slurm_job_modify(job, record, partitions, uid) return slurm.SUCCESS end
END
}

# slurmctld reads the script when it starts, and later only where the file has become younger by a second.
new_script() {
  "$cluster" controller-off --dir "$TEST_DIR/cluster"
  cp "$JOB_SUBMIT" "$TEST_DIR/cluster/job_submit.lua"
  "$cluster" controller-on --dir "$TEST_DIR/cluster"
  for _ in $(seq 100); do
    scontrol ping | grep -q 'is UP' && return 0
    sleep 0.1
  done
  return 1
}

# requeue ARGUMENT...: submits a held job; $value is Slurm's Requeue= of it, $output what sbatch printed.
requeue() {
  run as_user sbatch --parsable --hold --output=out "$@"
  echo "sbatch: $status: $output"
  [ "$status" = 0 ] || return 1
  job=${lines[-1]%%;*}
  value=$(scontrol -o show job "$job" | grep -oE ' Requeue=[01]')
  value=${value#*=}
  scancel "$job"
}

@test "a job with --vm-checkpoint can be requeued" {
  requeue --vm-checkpoint=10m job.sh
  [ "$value" = 1 ]
  requeue --vm-checkpoint=auto --export=NONE job.sh
  [ "$value" = 1 ]
  export TLC_VM_CHECKPOINT=10m
  requeue job.sh
  [ "$value" = 1 ]
}

@test "it runs to its end" {
  submit --vm-checkpoint=10m job.sh exit=7
  [ "$state" = "JobState=FAILED ExitCode=7:0" ]
  in_output 'argument: exit=7'
}

@test "other jobs are left alone" {
  requeue job.sh
  [ "$value" = 0 ]
  requeue --requeue job.sh
  [ "$value" = 1 ]
  requeue --vm-checkpoint=off job.sh
  [ "$value" = 0 ]
  export TLC_VM_CHECKPOINT=10m
  requeue --vm-checkpoint=off job.sh
  [ "$value" = 0 ]
}

@test "--no-requeue is obeyed, and what it means is said" {
  requeue --vm-checkpoint=10m --no-requeue job.sh
  [ "$value" = 0 ]
  [[ $output == *'with --no-requeue the job is not started again'* ]]
  requeue --no-requeue job.sh
  [[ $output != *tlc:* ]]
}

@test "srun works, and slurmctld's log says nothing about it" {
  run as_user srun true
  [ "$status" = 0 ]
  run ! grep -F 'environment only accessible' "$TEST_DIR/cluster/log/slurmctld.log"
}

@test "a description that cannot be read refuses nothing" {
  site_script 'job = setmetatable({}, {__index = function() error("broken on purpose") end})'
  new_script
  requeue --vm-checkpoint=10m job.sh
  [ "$value" = 0 ]
  grep -F 'tlc: job_submit: ' "$TEST_DIR/cluster/log/slurmctld.log" | grep -F 'broken on purpose'
  site_script 'job = nil'
  new_script
  requeue --vm-checkpoint=10m job.sh
  [ "$value" = 0 ]
}

@test "a request that is damaged refuses nothing" {
  site_script 'if job.script then job.environment["SLURM_TLC_REQUEST"] = "%s\nintervall=" end'
  new_script
  requeue --vm-checkpoint=10m job.sh
  [ "$value" = 0 ]
}

@test "without tlc.lua, or with a broken one, jobs are submitted" {
  rm "$site/tlc.lua"
  site_script
  new_script
  requeue --vm-checkpoint=10m job.sh
  [ "$value" = 0 ]
  echo 'this is no Lua' >"$site/tlc.lua"
  new_script
  requeue --vm-checkpoint=10m job.sh
  [ "$value" = 0 ]
}
