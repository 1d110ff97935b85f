// SPDX-License-Identifier: GPL-2.0-or-later
// How a running job is doing, for those who look: status.json in the job's directory, replaced every few
// seconds by its supervisor, and the same as an OpenMetrics text for the node's exporter. Plain data and pure
// functions, except where a path is given.
#pragma once

#include <tlc/base/result.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace tlc {

struct JobStatus {
    using Time = std::chrono::system_clock::time_point; // whole seconds

    std::string job; // "<cluster>-<id>"
    std::string node;
    std::string state; // "starting", "running", "filling" (its memory is still coming in), "suspended" (no
                       // contact with Slurm), "leaving", "disk full"
    uint64_t epoch = 0;
    Time started;         // of this copy of the job
    Time updated;         // when all this was so
    Time next_checkpoint; // begins
    std::chrono::seconds interval{};

    // Since `started`, of the published ones; pauses are milliseconds.
    uint64_t checkpoints = 0;
    uint64_t failed = 0; // begun, or not even begun, and not published
    double stopped_ms = 0;
    double longest_pause_ms = 0;

    struct Last {
        uint64_t sequence = 0;
        Time taken;
        double pause_ms = 0;
        double latency_ms = 0;
        uint64_t stored_bytes = 0;
        bool operator==(const Last&) const = default;
    };
    std::optional<Last>
        last; // the newest checkpoint that the job could continue from, also an earlier copy's

    bool operator==(const JobStatus&) const = default;
};

std::string status_text(const JobStatus& status);
// ErrorKind::damaged if it cannot be understood.
Result<JobStatus> parse_status(std::string_view text);

// Replaces the file in the job's directory; not durable, as it only tells of the moment.
Status write_status(const std::filesystem::path& job_directory, const JobStatus& status);
// ErrorKind::no_checkpoint if the job has none.
Result<JobStatus> read_status(const std::filesystem::path& job_directory);

// One job's metrics in the text format of OpenMetrics and of Prometheus; times are seconds.
std::string metrics_text(const JobStatus& status);
// The file of that job in the directory that the site's exporter reads.
std::filesystem::path metrics_file(const std::filesystem::path& directory, const std::string& job);

} // namespace tlc
