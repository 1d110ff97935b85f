// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/config/config.hpp>
#include <tlc/supervisor/job_file.hpp>

#include <cstdlib>
#include <unistd.h>

#include "commands.hpp"

namespace tlc {

Result<std::filesystem::path> checkpoint_root(const std::string& option, const std::string& config_file) {
    if (!option.empty()) return option;
    if (const char* twin = std::getenv("TLC_VM_CHECKPOINT_DIR"); twin != nullptr && *twin != '\0')
        return twin;
    TLC_TRY_ASSIGN(config, load_config(config_file));
    if (!config.paths.checkpoint_dir.empty()) return config.paths.checkpoint_dir;
    return fail(ErrorKind::usage, "say where the checkpoints are: --checkpoint-dir=DIR");
}

Result<JobDirectory> find_job(const std::filesystem::path& root, const std::string& name) {
    if (name.find('/') != std::string::npos) return JobDirectory::open(name);
    TLC_TRY_ASSIGN(jobs, list_job_directories(root));
    std::vector<JobDirectory> found;
    for (const auto& job : jobs) {
        const auto directory = job.path().filename().string();
        if (directory == name) return job;
        const bool ours = directory.ends_with(fmt::format("-{}.u{}", name, ::geteuid()));
        if (ours || directory.ends_with("-" + name)) found.push_back(job);
    }
    // One that is there but cannot be opened is no riddle.
    std::error_code error;
    for (std::filesystem::directory_iterator at(root, error), end; found.empty() && !error && at != end;
         at.increment(error)) {
        const auto directory = at->path().filename().string();
        if (directory == name || directory.ends_with("-" + name)) TLC_TRY(JobDirectory::open(at->path()));
    }
    if (found.empty())
        return fail(ErrorKind::no_checkpoint,
                    "no job \"{}\" under {}; tlc-restart list shows those there are", name, root.string());
    if (found.size() > 1)
        return fail(ErrorKind::usage, "\"{}\" may be {} or {}; write the whole name", name,
                    found[0].path().filename().string(), found[1].path().filename().string());
    return found.front();
}

Result<Checkpoint> find_checkpoint(const JobDirectory& job, std::optional<uint64_t> sequence) {
    if (!sequence) return job.newest();
    TLC_TRY_ASSIGN(all, job.list());
    for (auto& checkpoint : all)
        if (checkpoint.sequence == *sequence) return checkpoint;
    return fail(ErrorKind::no_checkpoint, "{} has no checkpoint {}", job.path().filename().string(),
                *sequence);
}

std::string job_state(const JobDirectory& job) {
    const auto result = read_job_result(job.path());
    if (!result) return "unfinished";
    return result->signalled ? fmt::format("ended by signal {}", result->code)
                             : fmt::format("ended with {}", result->code);
}

} // namespace tlc
