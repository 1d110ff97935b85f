// SPDX-License-Identifier: GPL-2.0-or-later
// The commands of tlc-restart. Each prints to stdout, a table for people or one JSON value, and returns an
// Error with the exit code's kind. None changes a checkpoint.
#pragma once

#include <tlc/base/result.hpp>
#include <tlc/catalog/job_directory.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace tlc {

// Where to look: the option, TLC_VM_CHECKPOINT_DIR or the site's configuration, in this order.
Result<std::filesystem::path> checkpoint_root(const std::string& option, const std::string& config_file);

// The one job that `name` means: a job id, "<cluster>-<id>" or a directory. ErrorKind::no_checkpoint if there
// is none, usage if there are several.
Result<JobDirectory> find_job(const std::filesystem::path& root, const std::string& name);

Status list_jobs(const std::vector<JobDirectory>& jobs, bool json);
Status show_job(const JobDirectory& job, std::optional<uint64_t> sequence, bool json);

struct RestartOptions {
    std::optional<uint64_t> sequence;
    bool local = false;
    bool dry_run = false;
    std::string config;
    std::vector<std::string> sbatch_arguments;
};
// Replaces this process by sbatch or tlc-run; returns only to say why it could not.
Status restart_job(const JobDirectory& job, const RestartOptions& options);

// "running" is not claimed: a directory does not know. finished, interrupted or unknown.
std::string job_state(const JobDirectory& job);

} // namespace tlc
