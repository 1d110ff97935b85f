// SPDX-License-Identifier: GPL-2.0-or-later
// What Slurm means to do with the job that has just got a TERM; asked with scontrol, for a few seconds at
// most.
#pragma once

#include <tlc/supervisor/job.hpp>

#include <filesystem>
#include <string>

namespace tlc {

// True unless Slurm says that the job is over (cancelled, out of time) or simply running: when in doubt the
// job's checkpoint is worth more than its last words.
bool will_be_requeued(const std::string& job_id);

// "continue it with: tlc-restart run ..."
std::string how_to_continue(const Job& job, const std::filesystem::path& directory);

} // namespace tlc
