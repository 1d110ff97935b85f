-- SPDX-License-Identifier: GPL-2.0-or-later
-- For a site's job_submit.lua (Slurm's job_submit/lua, Lua 5.1 and newer): lets Slurm start jobs with
-- --vm-checkpoint again when their node dies, also where slurm.conf says JobRequeue=0.
--
--     local found, tlc = pcall(dofile, "/etc/slurm/tlc.lua")
--     function slurm_job_submit(job, partitions, uid)
--         if found then tlc.job_submit(job) end
--         return slurm.SUCCESS
--     end
--
-- It refuses no job and raises no error. What it cannot read it leaves as it is.
local tlc = {}

-- job_desc.spank_job_env holds what the user typed, not what it means. The plugin leaves the checked request in
-- the job's environment; a job that did not come through sbatch has at most the environment twin.
local function wants_vm(job)
    if job.script == nil then return false end -- srun and salloc: no environment, and Slurm logs each look at it
    local request = job.environment["SLURM_TLC_REQUEST"]
    local interval
    if request ~= nil then
        interval = ("\n" .. request):match("\ninterval=([^\n]*)")
        return interval ~= nil and interval ~= "0"
    end
    interval = job.environment["TLC_VM_CHECKPOINT"]
    return interval ~= nil and interval ~= "" and interval ~= "off"
end

local function set(job)
    if not wants_vm(job) then return end
    if job.requeue == slurm.NO_VAL16 then job.requeue = 1 end
end

-- Sets requeue where the user has said nothing about it. Nothing else is needed: tlc-run keeps the output whole
-- with either --open-mode, and asks Slurm itself when the job's time ends.
function tlc.job_submit(job)
    local good, problem = pcall(set, job)
    if not good then pcall(slurm.log_info, "tlc: job_submit: %s", tostring(problem)) end
end

return tlc
