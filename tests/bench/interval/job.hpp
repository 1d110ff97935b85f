// SPDX-License-Identifier: GPL-2.0-or-later
// One job, from its start to its end, with checkpoints and failures, as the supervisor runs it: a checkpoint
// holds the state at its start and counts from when it is durable; they do not overlap; the first of each
// start is a full one; what is learnt is kept with each checkpoint. Times are seconds.
#pragma once

#include <tlc/supervisor/interval_policy.hpp>

#include <cstdint>
#include <optional>
#include <vector>

namespace simulation {

// What checkpoints and restarts take. Each checkpoint varies around this.
struct Case {
    const char* name;
    double cost;        // what the job loses by a checkpoint that is not full; not above the latency
    double latency;     // until it is durable
    double restart;     // from a failure until the job computes again; may fail, too
    double full_factor; // how many times as long a full one takes
    double memory_gib;
    // Of a checkpoint with this cost and latency.
    bool stands_still() const { return cost == latency; }
};

struct Plan {
    std::optional<double> fixed; // interval; infinity: no checkpoints
    tlc::IntervalSettings settings;
    double told = 1;        // the policy hears this times the cost,
    bool estimated = false; // or what can be seen of it from outside
};

struct Outcome {
    bool done = false;
    double time = 0;   // until the job was done, or given up
    double redone = 0; // work that was lost and done again
    double waited = 0; // for restarts
    double slowed = 0; // what checkpoints cost
    uint64_t checkpoints = 0;
    uint64_t failures = 0;
};

// `trace`: failures, in order, the last beyond `give_up`. `seed`: of the variation of checkpoints.
Outcome run(const Case& what, const Plan& plan, const std::vector<double>& trace, double work, double give_up,
            uint64_t seed);

} // namespace simulation
