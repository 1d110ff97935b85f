// SPDX-License-Identifier: GPL-2.0-or-later
// What slurmctld says about one job, and what follows from it for the job's supervisor.
#pragma once

#include <tlc/base/result.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace tlc {

struct SlurmJob {
    using Time = std::chrono::system_clock::time_point;

    std::string state;             // "RUNNING", "COMPLETING", ...
    std::string reason;            // "None", "TimeLimit", ...
    unsigned restarts = 0;         // how often it was requeued, counted at once
    bool requeue = true;           // whether Slurm may requeue it
    bool preempted = false;        // it is in its grace time
    std::optional<Time> ends;      // of its time limit or grace time; nothing: no limit
    std::optional<Time> submitted; // or requeued
    std::string comment;

    bool operator==(const SlurmJob&) const = default;
};

// Asks slurmctld. Errors: it does not answer within `patience`, or does not know the job. Thread-safe.
Result<SlurmJob> ask_slurm_job(const std::string& id, std::chrono::seconds patience);
// squeue's lines for that job, as ask_slurm_job() asks for them. Nothing if the job is not among them.
std::optional<SlurmJob> parse_slurm_job(std::string_view lines, std::string_view id);

// Puts `text` behind what the user wrote into the job's comment, in the place of what stood there of ours;
// but "checkpoint ..." stays until another one is told of. `old`: the whole comment as it is. `name`: the
// job's, which for a member of an array is not its number.
Status set_slurm_comment(const std::string& name, std::string_view old, std::string_view text,
                         std::chrono::seconds patience);
// Whether it tells of a checkpoint of the job.
bool tells_of_checkpoint(std::string_view comment);

// What becomes of a job that has got a TERM. `restarts`: how often it had been requeued when this copy of it
// began.
enum class Fate {
    requeued,  // also in doubt: the job's checkpoint is worth more than its last words
    timed_out, // its time limit has come
    told,      // cancelled, or running and somebody has something to say to it
};
Fate fate_of(const SlurmJob& job, unsigned restarts);

// Whether Slurm has begun, or will begin without waiting for this copy, another copy of the job.
bool is_replaced(const SlurmJob& job, unsigned restarts);

} // namespace tlc
