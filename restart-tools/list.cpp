// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/units.hpp>

#include <nlohmann/json.hpp>

#include <cstdio>

#include "commands.hpp"

namespace tlc {
namespace {

nlohmann::json row_json(const JobDirectory& job, const Checkpoint& checkpoint) {
    nlohmann::json row{{"job", job.path().filename().string()},
                       {"sequence", checkpoint.sequence},
                       {"whole", checkpoint.whole()}};
    if (checkpoint.manifest) {
        row["created"] = checkpoint.manifest->created;
        row["epoch"] = checkpoint.manifest->epoch;
        row["pause_ms"] = checkpoint.manifest->timings.pause_ms;
        row["latency_ms"] = checkpoint.manifest->timings.latency_ms;
        row["ram_bytes"] = checkpoint.manifest->sizes.ram_bytes;
        row["stored_bytes"] = checkpoint.manifest->sizes.stored_bytes;
    }
    if (checkpoint.error) row["error"] = checkpoint.error->message;
    return row;
}

void print_row(const JobDirectory& job, const std::string& state, const Checkpoint& checkpoint) {
    const auto name = job.path().filename().string();
    if (!checkpoint.manifest) {
        fmt::print("{:<24} {:>6}  {:<20} {:>9} {:>10} {:>10}  damaged: {}\n", name, checkpoint.sequence, "-",
                   "-", "-", "-", checkpoint.error ? checkpoint.error->message : "");
        return;
    }
    const auto& m = *checkpoint.manifest;
    fmt::print("{:<24} {:>6}  {:<20} {:>6.1f} ms {:>10} {:>10}  {}\n", name, checkpoint.sequence, m.created,
               m.timings.pause_ms,
               duration_text(std::chrono::milliseconds(static_cast<int64_t>(m.timings.latency_ms))),
               size_text(m.sizes.stored_bytes),
               checkpoint.error ? "damaged: " + checkpoint.error->message : state);
}

} // namespace

Status list_jobs(const std::vector<JobDirectory>& jobs, bool json) {
    auto rows = nlohmann::json::array();
    if (!json)
        fmt::print("{:<24} {:>6}  {:<20} {:>9} {:>10} {:>10}  {}\n", "JOB", "NUMBER", "TAKEN", "PAUSE",
                   "LATENCY", "SIZE", "STATE");
    for (const auto& job : jobs) {
        TLC_TRY_ASSIGN(checkpoints, job.list());
        const auto state = job_state(job);
        if (checkpoints.empty() && !json)
            fmt::print("{:<24} {:>6}  {:<20} {:>9} {:>10} {:>10}  {}, no checkpoint\n",
                       job.path().filename().string(), "-", "-", "-", "-", "-", state);
        for (const auto& checkpoint : checkpoints) {
            if (json)
                rows.push_back(row_json(job, checkpoint));
            else
                print_row(job, state, checkpoint);
        }
    }
    if (json) fmt::print("{}\n", rows.dump(2));
    return {};
}

} // namespace tlc
