// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/files.hpp>
#include <tlc/base/log.hpp>
#include <tlc/base/units.hpp>
#include <tlc/disk/disk.hpp>
#include <tlc/slurm/job_state.hpp>
#include <tlc/supervisor/ending.hpp>
#include <tlc/supervisor/output.hpp>
#include <tlc/vm/machine.hpp>

#include <unistd.h>

namespace tlc {
namespace {

constexpr const char* streams[] = {MachineFiles::standard_output, MachineFiles::standard_error};
constexpr int outputs[] = {STDOUT_FILENO, STDERR_FILENO};
// Slurm's time of the requeue has whole seconds.
constexpr std::chrono::seconds uncertainty{2};

Status forget_output(const JobDirectory& directory) {
    for (const char* stream : streams) {
        std::error_code error;
        std::filesystem::remove(directory.path() / stream, error);
        if (error) return fail_errno(error.value(), fmt::format("cannot remove the copy of {}", stream));
    }
    return {};
}

Status show_output(const JobDirectory& directory, const Job& job) {
    TLC_TRY_ASSIGN(file, read_job_file(directory.path()));
    auto bases = std::move(file.output_bases);
    if (job.restart_from) {
        TLC_TRY_ASSIGN(own, read_output_bases(directory.path(), job.name()));
        bases = std::move(own);
    }
    for (size_t i = 0; i < std::size(streams); ++i) {
        std::error_code error;
        const auto copy = directory.path() / streams[i];
        // Where both are one file, the first copy has all of it.
        if (!std::filesystem::exists(copy, error) || (i > 0 && same_file(outputs[0], outputs[i]))) continue;
        OutputFollower output(copy, outputs[i], bases[i]);
        TLC_TRY(output.reconcile(true));
        TLC_TRY(output.finish());
    }
    return {};
}

Status remove_remains(const JobDirectory& directory) {
    TLC_TRY_ASSIGN(checkpoints, directory.list());
    for (const auto& checkpoint : checkpoints)
        TLC_TRY(directory.remove(checkpoint.sequence, remove_disk));
    TLC_TRY_ASSIGN(epoch, directory.newest_epoch());
    return remove_disk(directory.live_directory(epoch));
}

// Whether Slurm had decided to start the job again before it was over. In doubt it had: a user who wants it
// to run again can submit it.
bool requeued_before(const Job& job, const JobResult& result) {
    if (!result.complete) return true;
    const auto known = ask_slurm_job(job.id, std::chrono::seconds(10));
    const auto ended = parse_utc(result.ended);
    return !known || !known->submitted || !ended || *known->submitted <= *ended + uncertainty;
}

Status write_complete(const JobDirectory& directory, JobResult result) {
    result.ended = utc_text(std::chrono::system_clock::now());
    result.complete = true;
    return write_job_result(directory.path(), result);
}

} // namespace

Status begin_ending(const JobDirectory& directory, const std::filesystem::path& live,
                    const JobResult& result) {
    if (auto forgotten = forget_output(directory); !forgotten) log::warning("{}", forgotten.error().message);
    for (const char* stream : streams) {
        std::error_code error;
        if (!std::filesystem::exists(live / stream, error)) continue;
        if (auto copied = tlc::copy_file(live / stream, directory.path() / stream); !copied)
            log::warning("{}", copied.error().message);
    }
    return write_job_result(directory.path(), result);
}

Status complete_ending(const Job& job, const JobDirectory& directory, const JobResult& result) {
    if (job.under_slurm) {
        const auto known = ask_slurm_job(job.id, std::chrono::seconds(10));
        if (!known || known->restarts > job.restart_count) return {};
    }
    TLC_TRY(write_complete(directory, result));
    return forget_output(directory);
}

std::optional<JobEnd> end_of_earlier_start(const Job& job, const std::filesystem::path& path) {
    // Nothing is read from it before it is known to be ours.
    const auto directory = JobDirectory::open(path);
    if (!directory) return std::nullopt;
    const auto result = read_job_result(path);
    if (!result || result->by != job.name() || job.restart_count <= result->restarts) return std::nullopt;
    if (!requeued_before(job, *result)) return std::nullopt;
    if (auto shown = show_output(*directory, job); !shown)
        fmt::print(stderr, "tlc-run: error: the job's output is not whole: {}\n", shown.error().message);
    fmt::print(stderr, "tlc-run: the job had come to its end at {}; its files are back\n", result->ended);
    auto finished = Status{};
    if (!result->complete && !result->signalled && result->code == 0) finished = remove_remains(*directory);
    // The copy of the output stays: this start may be requeued, too.
    if (finished) finished = write_complete(*directory, *result);
    if (!finished) fmt::print(stderr, "tlc-run: warning: {}\n", finished.error().message);
    return JobEnd{result->signalled, result->code};
}

} // namespace tlc
