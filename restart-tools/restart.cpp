// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/process.hpp>
#include <tlc/request/options.hpp>
#include <tlc/supervisor/job_file.hpp>

#include <algorithm>
#include <cerrno>
#include <unistd.h>

#include "commands.hpp"

namespace tlc {
namespace {

// A job that Slurm still has must not run twice.
Status check_not_queued(const JobFile& file) {
    const auto answer =
        run({"squeue", "--noheader", "--jobs", file.id, "--format", "%T"}, false, std::chrono::seconds(20));
    // squeue fails for a job it has forgotten, which is what is hoped for.
    if (!answer || answer->status.code != 0) return {};
    const auto state = answer->text.substr(0, answer->text.find('\n'));
    if (state.empty()) return {};
    return fail(ErrorKind::busy,
                "Slurm still has job {} ({}); it continues by itself, or cancel it first: scancel {}",
                file.id, state, file.id);
}

Status check_sequence(const JobDirectory& job, std::optional<uint64_t> sequence) {
    TLC_TRY_ASSIGN(checkpoint, find_checkpoint(job, sequence));
    return checkpoint.error ? Status(tl::unexpected(*checkpoint.error)) : Status{};
}

// The programs stand beside this one, or in PATH.
std::string sibling(const std::string& name) {
    std::error_code error;
    const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
    const auto path = self.parent_path() / name;
    return !error && std::filesystem::exists(path, error) ? path.string() : name;
}

std::vector<std::string> sbatch_command(const JobFile& file, const RestartOptions& options) {
    constexpr uint64_t mib = uint64_t{1} << 20;
    std::vector<std::string> argv{"sbatch", "--chdir=" + file.directory.string(),
                                  fmt::format("--cpus-per-task={}", file.vcpus), "--requeue"};
    if (file.memory_bytes != 0) argv.push_back(fmt::format("--mem={}M", file.memory_bytes / mib));
    const auto asked = to_options(file.request);
    argv.insert(argv.end(), asked.begin(), asked.end());
    argv.insert(argv.end(), options.sbatch_arguments.begin(), options.sbatch_arguments.end());
    argv.push_back(file.script.string());
    argv.insert(argv.end(), file.arguments.begin(), file.arguments.end());
    return argv;
}

} // namespace

Status restart_job(const JobDirectory& job, const RestartOptions& options) {
    TLC_TRY_ASSIGN(file, read_job_file(job.path()));
    TLC_TRY(check_sequence(job, options.sequence));
    std::vector<std::string> argv;
    if (options.local) {
        argv = {sibling("tlc-run"), "--restart", job.path().string()};
        if (options.sequence) argv.insert(argv.end(), {"--sequence", fmt::format("{}", *options.sequence)});
        if (!options.config.empty()) argv.insert(argv.end(), {"--config", options.config});
    } else {
        if (!file.under_slurm)
            return fail(ErrorKind::usage, "{} was not a Slurm job; continue it with --local",
                        job.path().filename().string());
        TLC_TRY(check_not_queued(file));
        // tlc-run finds its way by these; Slurm carries them to the node and over a requeue, with their
        // prefix also where SBATCH_EXPORT says NONE.
        argv = {"env", "SLURM_TLC_RESTART_FROM=" + std::filesystem::absolute(job.path()).string()};
        if (options.sequence) argv.push_back(fmt::format("SLURM_TLC_RESTART_SEQUENCE={}", *options.sequence));
        const auto command = sbatch_command(file, options);
        argv.insert(argv.end(), command.begin(), command.end());
    }
    if (options.dry_run) {
        fmt::print("{}\n", shell_line(argv));
        return {};
    }
    std::fflush(nullptr);
    ::execvp(argv.front().c_str(), pointers(argv).data());
    return fail_errno(errno, fmt::format("cannot start {}", argv.front()));
}

} // namespace tlc
