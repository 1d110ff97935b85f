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

// The job's runs, one after the other; each has steps of its own.
class Life {
  public:
    Life(Place place, uint64_t first_step) : place_(std::move(place)), first_step_(first_step) {}

    // A job that cannot begin is requeued.
    Result<JobRun> begin() {
        auto run = once();
        if (!run) run = once();
        first_step_ *= 10;
        return run;
    }

  private:
    Result<JobRun> once() const {
        TLC_TRY_ASSIGN(levels, test::Levels::create(place_.root, place_.node, place_.chains));
        return JobRun::begin(std::move(levels), first_step_, note);
    }
    Place place_;
    uint64_t first_step_;
};

// A job whose disk has lost what was written to it goes on from what it has published.
Status take(JobRun& run, Life& life) {
    const auto taken = run.take();
    if (taken) return {};
    fmt::print(stderr, "a checkpoint was given up: {}\n", taken.error().message);
    if (taken.error().kind != ErrorKind::lost_writes) return {};
    TLC_TRY_ASSIGN(next, life.begin());
    run = std::move(next);
    return {};
}

Status take_and_carry(JobRun& run, Life& life) {
    TLC_TRY(take(run, life));
    if (const auto carried = run.carry_taken(2); !carried)
        fmt::print(stderr, "a checkpoint stays on the node: {}\n", carried.error().message);
    run.prune(2);
    return {};
}

// Another one is published before the carrier has come to it.
Status take_only(JobRun& run, Life& life) {
    TLC_TRY(take(run, life));
    run.do_not_carry_taken();
    run.prune(2);
    return {};
}

Status first_life(Life life) {
    TLC_TRY_ASSIGN(run, life.begin());
    for (int n = 0; n < 3; ++n) {
        TLC_TRY(take(run, life));
        run.prune(2);
    }
    run.prune(1);
    run.restart_engine();
    TLC_TRY(take(run, life));
    run.prune(2);
    run.prune(1);
    TLC_TRY_ASSIGN(next, life.begin());
    TLC_TRY(take(next, life));
    next.prune(2);
    return {};
}

// The last one of the first run is carried by the next.
Status first_life_of_two_levels(Life life) {
    TLC_TRY_ASSIGN(run, life.begin());
    TLC_TRY(take_and_carry(run, life));
    TLC_TRY(take_only(run, life));
    TLC_TRY(take(run, life));
    run.prune(2);
    TLC_TRY_ASSIGN(next, life.begin());
    return take_and_carry(next, life);
}

Status resumed_life(Life life) {
    TLC_TRY_ASSIGN(run, life.begin());
    TLC_TRY(take(run, life));
    run.prune(2);
    TLC_TRY(take(run, life));
    run.prune(1);
    return {};
}

Status resumed_life_of_two_levels(Life life) {
    TLC_TRY_ASSIGN(run, life.begin());
    return take_and_carry(run, life);
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
    const bool first = life == "first";
    Life runs(place, first ? 1 : 10000);
    const auto lived =
        first ? (two ? first_life_of_two_levels(std::move(runs)) : first_life(std::move(runs)))
              : (two ? resumed_life_of_two_levels(std::move(runs)) : resumed_life(std::move(runs)));
    if (!lived) fmt::print(stderr, "the job cannot run: {}\n", lived.error().message);
    return 0;
}
