// SPDX-License-Identifier: GPL-2.0-or-later
// publish_sequence ROOT first|resume [NODE] [chains]: the life of a job, from the first checkpoint or after a
// crash, in a job directory below ROOT, which need not exist. With NODE it takes its checkpoints in a
// directory of the node's below that, and carries them. To be run under faulty_files.so, whose journal gets
// its notes. Ends with 0 whatever could not be done, as a supervisor would: the checker judges what is left.
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

struct Place {
    std::filesystem::path root;
    std::filesystem::path node;
    bool chains;
};

// A job that cannot begin is requeued.
Result<JobRun> begin(const Place& place, uint64_t first_step) {
    const auto once = [&]() -> Result<JobRun> {
        TLC_TRY_ASSIGN(levels, test::Levels::create(place.root, place.node, place.chains));
        return JobRun::begin(std::move(levels), first_step, note);
    };
    auto run = once();
    return run ? std::move(run) : once();
}

void take(JobRun& run) {
    if (const auto taken = run.take(); !taken)
        fmt::print(stderr, "a checkpoint was given up: {}\n", taken.error().message);
}

void take_and_carry(JobRun& run) {
    take(run);
    if (const auto carried = run.carry_taken(2); !carried)
        fmt::print(stderr, "a checkpoint stays on the node: {}\n", carried.error().message);
    run.prune(2);
}

// Another one is published before the carrier has come to it.
void take_only(JobRun& run) {
    take(run);
    run.do_not_carry_taken();
    run.prune(2);
}

Status first_life(const Place& place) {
    TLC_TRY_ASSIGN(run, begin(place, 1));
    for (int n = 0; n < 3; ++n) {
        take(run);
        run.prune(2);
    }
    run.prune(1);
    run.restart_engine();
    take(run);
    run.prune(2);
    run.prune(1);
    TLC_TRY_ASSIGN(next, begin(place, 10));
    take(next);
    next.prune(2);
    return {};
}

// The last one of the first run is carried by the next.
Status first_life_of_two_levels(const Place& place) {
    TLC_TRY_ASSIGN(run, begin(place, 1));
    take_and_carry(run);
    take_only(run);
    take(run);
    run.prune(2);
    TLC_TRY_ASSIGN(next, begin(place, 10));
    take_and_carry(next);
    return {};
}

Status resumed_life(const Place& place) {
    TLC_TRY_ASSIGN(run, begin(place, 100));
    take(run);
    run.prune(2);
    take(run);
    run.prune(1);
    return {};
}

Status resumed_life_of_two_levels(const Place& place) {
    TLC_TRY_ASSIGN(run, begin(place, 100));
    take_and_carry(run);
    return {};
}

} // namespace

int main(int argc, char** argv) {
    const bool chains = argc > 3 && argv[argc - 1] == std::string("chains");
    argc -= chains;
    const std::string life = argc == 3 || argc == 4 ? argv[2] : "";
    if (life != "first" && life != "resume") {
        fmt::print(stderr, "usage: publish_sequence ROOT first|resume [NODE] [chains]\n");
        return 2;
    }
    const bool two = argc == 4;
    const Place place{argv[1], two ? argv[3] : "", chains};
    ::unsetenv("LD_PRELOAD"); // what it starts is not counted
    const auto lived = life == "first" ? (two ? first_life_of_two_levels(place) : first_life(place))
                                       : (two ? resumed_life_of_two_levels(place) : resumed_life(place));
    if (!lived) fmt::print(stderr, "the job cannot run: {}\n", lived.error().message);
    return 0;
}
