// SPDX-License-Identifier: GPL-2.0-or-later
// The commands of tlc-restart. Each prints to stdout, a table for people or one JSON value, and returns an
// Error with the exit code's kind. Only prune changes anything.
#pragma once

#include <tlc/base/log_line.hpp>
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

// The job's newest whole checkpoint or, whole or not, the one of that number. ErrorKind::no_checkpoint if
// there is none.
Result<Checkpoint> find_checkpoint(const JobDirectory& job, std::optional<uint64_t> sequence);

Status list_jobs(const std::vector<JobDirectory>& jobs, bool json);
// With whether the host it runs on could restore it, by the site's configuration.
Status show_job(const JobDirectory& job, std::optional<uint64_t> sequence, const std::string& config_file,
                bool json);

// How the job is doing: what its supervisor says, or said last. With `watch` again and again until it ends.
Status show_status(const JobDirectory& job, bool watch, bool json);

struct LogOptions {
    bool follow = false;                 // until the job ends
    log::Level from = log::Level::debug; // events of less weight are left out
    bool json = false;                   // one object a line
};
// The job's log, of all its starts on all nodes.
Status show_log(const JobDirectory& job, const LogOptions& options);

struct VerifyOptions {
    std::optional<uint64_t> sequence;
    bool all = false; // every checkpoint instead of each job's newest
    bool json = false;
};
// Reads everything. ErrorKind::damaged if one of them cannot be restored.
Status verify_jobs(const std::vector<JobDirectory>& jobs, const VerifyOptions& options);

struct PruneOptions {
    std::optional<size_t> keep; // otherwise as many as each job keeps
    bool ended = false;         // all checkpoints of jobs that have ended, instead
    bool yes = false;           // otherwise it is only told what would be removed
    bool json = false;
};
Status prune_jobs(const std::vector<JobDirectory>& jobs, const PruneOptions& options);

struct RestartOptions {
    std::optional<uint64_t> sequence;
    bool local = false;
    bool dry_run = false;
    std::string config;
    std::vector<std::string> sbatch_arguments;
};
// Replaces this process by sbatch or tlc-run; returns only to say why it could not.
Status restart_job(const JobDirectory& job, const RestartOptions& options);

struct ExportOptions {
    std::string format; // "qemu" or "elf"
    std::string out;
};
// Writes the memory of the checkpoint in `directory` as a file for other programs; docs/export.md.
Status export_checkpoint(const std::filesystem::path& directory, const ExportOptions& options, bool json);

// What changed from checkpoint `a` of the job to `b`.
Status diff_checkpoints(const JobDirectory& job, uint64_t a, uint64_t b, bool json);

// "running" is not claimed: a directory does not know. "unfinished", or how it ended.
std::string job_state(const JobDirectory& job);

} // namespace tlc
