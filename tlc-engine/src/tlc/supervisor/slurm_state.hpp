// SPDX-License-Identifier: GPL-2.0-or-later
// What Slurm means to do with the job that has just got a TERM; asked with scontrol, for a few seconds at
// most.
#pragma once

#include <tlc/supervisor/job.hpp>

#include <chrono>
#include <filesystem>
#include <string>

namespace tlc {

enum class Fate {
    requeued,  // also in doubt: the job's checkpoint is worth more than its last words
    timed_out, // its time limit has come
    told,      // cancelled, or running and somebody has something to say to it
};
Fate fate_of(const Job& job);

// How long after TERM Slurm sends KILL; its default if it does not say.
std::chrono::seconds kill_wait();

// "continue it with: tlc-restart run ..."
std::string how_to_continue(const Job& job, const std::filesystem::path& directory);

} // namespace tlc
