// SPDX-License-Identifier: GPL-2.0-or-later
// job.json in a job's directory: what is needed to start the job again by hand (tlc-restart run), written
// once at its first start; and result.json, there when the job has ended by itself.
// For one process a job at a time; reading is thread-safe.
#pragma once

#include <tlc/supervisor/job.hpp>

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tlc {

struct JobFile {
    JobRequest request;
    std::string cluster;
    std::string id;
    bool under_slurm = false;
    std::filesystem::path script; // a copy in the job's directory
    std::vector<std::string> arguments;
    std::filesystem::path directory;
    unsigned vcpus = 1;
    uint64_t memory_bytes = 0; // of the job; 0: not limited
    std::vector<uint64_t> output_bases;
};

// Publishes job.json and the script's copy.
Status write_job_file(const std::filesystem::path& job_directory, const JobFile& file,
                      const std::filesystem::path& script);
// ErrorKind::damaged if it cannot be understood.
Result<JobFile> read_job_file(const std::filesystem::path& job_directory);
// The same without files.
std::string job_file_text(const JobFile& file);
Result<JobFile> parse_job_file(std::string_view text, const std::filesystem::path& job_directory);

// A restart by hand has outputs of its own. Effect of the first: `run` (Job::name()) of the job in this
// directory keeps the sizes that its outputs have now, where its later starts find them.
Status write_output_bases(const std::filesystem::path& job_directory, const std::string& run,
                          const std::vector<uint64_t>& bases);
Result<std::vector<uint64_t>> read_output_bases(const std::filesystem::path& job_directory,
                                                const std::string& run);

struct JobResult {
    bool signalled = false;
    int code = 0;
    std::string ended;     // UTC
    std::string by;        // Job::name() of the one that came to the end
    unsigned restarts = 0; // and how often it had been requeued
    bool complete = true;  // nothing was left to do; otherwise what the job does not need may still be there
};
Status write_job_result(const std::filesystem::path& job_directory, const JobResult& result);
// The job runs again: what an earlier end has left must not say that it is over. Durable.
Status remove_job_result(const std::filesystem::path& job_directory);
// Nothing while the job has not ended.
std::optional<JobResult> read_job_result(const std::filesystem::path& job_directory);
std::optional<JobResult> parse_job_result(std::string_view text);

} // namespace tlc
