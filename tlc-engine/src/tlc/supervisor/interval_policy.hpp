// SPDX-License-Identifier: GPL-2.0-or-later
// How long to compute between two checkpoints, for --vm-checkpoint=auto. Times are seconds, from the start of
// one checkpoint to the start of the next. No clock, no I/O, no errors: values out of range are clamped. Not
// thread-safe. docs/interval.md has the derivation and what it was tried with.
//
// A live checkpoint has two numbers. `cost`: what the job loses by it, in seconds of its work. `latency`: how
// long after its start it is durable; a failure before that falls back to the one before. With failures at
// rate 1/M, a restart that takes R and checkpoints every T, a stretch of T - cost seconds of work takes
//     M exp((R + latency) / M) (exp(T / M) - 1)
// on average. So latency acts like a longer restart: it makes failures dearer, but does not move the best T,
// which is that of J. T. Daly, "A higher order estimate of the optimum checkpoint interval for restart
// dumps", FGCS 22(3), 2006, with his dump time as the cost. But checkpoints do not overlap: where the
// latency is longer than that they follow one after the other, and T is only how long a restarted job waits
// before its first. The best is then M - (latency - cost) / (exp(latency / M) - 1), about half the latency.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace tlc {

using Seconds = std::chrono::duration<double>;

struct IntervalSettings {
    Seconds node_mtbf{0};      // mean time between failures of one node, as the site believes
    double nodes = 1;          // of the job; one of them failing is enough
    double max_overhead = 0.1; // cost / interval is kept below
    Seconds shortest{0};
    Seconds longest{0}; // 0: no limit
};

struct CheckpointCost {
    Seconds cost{0};
    Seconds latency{0};
};

// What a live checkpoint has cost, as far as can be seen from outside. Beside the pause the job loses what
// its writes wait for and the processors it shares with the engine, which nothing tells. docs/performance.md
// has 0.2 to 1 of the latency for 1 GiB; with more memory it is less, as the sweep grows and the faults do
// not.
inline constexpr double lost_of_latency = 0.25;
CheckpointCost observed_cost(Seconds pause, Seconds latency);

// Over all starts of the job.
struct RunHistory {
    Seconds ran{0};
    uint64_t interruptions = 0;
};

// What the interval is, and why.
struct IntervalChoice {
    // What had the last word: the optimum; the wish to learn soon what a checkpoint costs; a limit; or the
    // latency, which is longer than `interval`: the next checkpoint begins when the last is durable.
    enum class Rule { optimum, early, longest, shortest, overhead, latency };

    Seconds interval{0};
    Rule rule = Rule::optimum;
    Seconds optimum{0};
    Seconds mtbf{0};       // of the job, as estimated
    Seconds configured{0}; // of the job, as the site believes
    RunHistory history;
    CheckpointCost checkpoint;
    uint64_t measured = 0; // checkpoints; 0: `checkpoint` is a guess
};

const char* rule_name(IntervalChoice::Rule rule);
// One line of "key=value".
std::string describe(const IntervalChoice& choice);

// Mean of what was measured, the later the more it counts.
struct CostAverage {
    CheckpointCost mean;
    uint64_t count = 0;
    void learn(const CheckpointCost& measured);
};

class IntervalPolicy {
  public:
    // `memory_bytes`: the VM's, for a guess at what a checkpoint costs before one was taken.
    IntervalPolicy(const IntervalSettings& settings, uint64_t memory_bytes);

    // A checkpoint was taken. `full`: it holds all memory, as the first of each start does. Those count only
    // until another kind was seen: they come once a start, however long the interval.
    void learn(bool full, const CheckpointCost& measured);
    IntervalChoice choose(const RunHistory& history) const;
    // How long the job has probably run since the last time that is known of, when a node has died. To be
    // added to `history.ran`, or failures that come before a checkpoint make the MTBF look shorter than it
    // is.
    Seconds unseen(const RunHistory& history) const;

    const CostAverage& full() const { return full_; }
    const CostAverage& further() const { return further_; }
    // What an earlier run of the job has learnt.
    void resume(const CostAverage& full, const CostAverage& further);

  private:
    IntervalSettings settings_;
    CheckpointCost guess_;
    CostAverage full_;
    CostAverage further_;
};

// Daly's higher-order estimate, start to start. J. W. Young's (CACM 17(9), 1974) is its first term,
// sqrt(2 cost mtbf).
Seconds daly_interval(Seconds cost, Seconds mtbf);

// The best interval: Daly's, or the one for checkpoints that follow one after the other.
Seconds best_interval(const CheckpointCost& checkpoint, Seconds mtbf);

// Mean of the failure rate given the history, inverted. The configured value counts as much as
// `configured_weight` failures seen at that rate.
inline constexpr double configured_weight = 2;
Seconds estimate_mtbf(Seconds configured, const RunHistory& history);

} // namespace tlc
