// SPDX-License-Identifier: GPL-2.0-or-later
// publish_sequence ROOT first|resume: the life of a job, from the first checkpoint or after a crash, in a job
// directory below ROOT, which need not exist. To be run under faulty_files.so, whose journal gets its notes.
// Ends with 0 whatever could not be done, as a supervisor would: the checker judges what is left.
#include <tlc/base/fd.hpp>

#include <cstdlib>
#include <fcntl.h>
#include <string>

#include "job_run.hpp"

namespace {

using namespace tlc;
using test::JobRun;

void note(const std::string& text) {
    const char* journal = std::getenv("FAULT_JOURNAL");
    if (journal == nullptr) return;
    const auto file = open_file(journal, O_WRONLY | O_APPEND);
    const std::string line = "note\t" + text + "\n";
    if (!file || !write_all(file->get(), std::as_bytes(std::span(line)))) std::exit(99);
}

// A job that cannot begin is requeued.
Result<JobRun> begin(const std::filesystem::path& root, uint64_t first_step) {
    const auto once = [&]() -> Result<JobRun> {
        TLC_TRY_ASSIGN(job, JobDirectory::create(root, "cluster", "4711"));
        return JobRun::begin(job, first_step, note);
    };
    auto run = once();
    return run ? std::move(run) : once();
}

void take(JobRun& run) {
    if (const auto taken = run.take(); !taken)
        fmt::print(stderr, "a checkpoint was given up: {}\n", taken.error().message);
}

Status first_life(const std::filesystem::path& root) {
    TLC_TRY_ASSIGN(run, begin(root, 1));
    for (int n = 0; n < 3; ++n) {
        take(run);
        run.prune(2);
    }
    run.prune(1);
    run.restart_engine();
    take(run);
    run.prune(2);
    run.prune(1);
    TLC_TRY_ASSIGN(next, begin(root, 10));
    take(next);
    next.prune(2);
    return {};
}

Status resumed_life(const std::filesystem::path& root) {
    TLC_TRY_ASSIGN(run, begin(root, 100));
    take(run);
    run.prune(2);
    take(run);
    run.prune(1);
    return {};
}

} // namespace

int main(int argc, char** argv) {
    const std::string life = argc == 3 ? argv[2] : "";
    if (life != "first" && life != "resume") {
        fmt::print(stderr, "usage: publish_sequence ROOT first|resume\n");
        return 2;
    }
    const auto lived = life == "first" ? first_life(argv[1]) : resumed_life(argv[1]);
    if (!lived) fmt::print(stderr, "the job cannot run: {}\n", lived.error().message);
    return 0;
}
