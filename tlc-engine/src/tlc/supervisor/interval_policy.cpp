// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/units.hpp>
#include <tlc/supervisor/interval_policy.hpp>

#include <algorithm>
#include <cmath>

namespace tlc {
namespace {

// The guess is a low one on purpose: if it is too low, one checkpoint comes too early; if it is too high, the
// job is without one for long.
constexpr double guessed_bytes_per_second = 2.0 * (uint64_t{1} << 30);
// Until so many were measured, the interval is at most `early`: a checkpoint teaches what one costs.
constexpr uint64_t enough_measured = 2;
constexpr Seconds early{600};
// The newest counts at least so much: what a checkpoint costs changes with what the job does.
constexpr double least_weight = 0.2;

constexpr Seconds least_time{1e-3};
constexpr double least_overhead = 1e-4;
constexpr Seconds most_time{1e9}; // thirty years: safe to convert to any clock

std::string text(Seconds time) {
    return duration_text(std::chrono::duration_cast<std::chrono::milliseconds>(std::min(time, most_time)));
}

// Also for what is no number.
Seconds within(Seconds time, Seconds least, Seconds most) {
    return time >= least ? std::min(time, most) : least;
}

} // namespace

const char* rule_name(IntervalChoice::Rule rule) {
    switch (rule) {
    case IntervalChoice::Rule::early:
        return "early";
    case IntervalChoice::Rule::longest:
        return "max_interval";
    case IntervalChoice::Rule::shortest:
        return "min_interval";
    case IntervalChoice::Rule::overhead:
        return "max_overhead";
    case IntervalChoice::Rule::latency:
        return "latency";
    case IntervalChoice::Rule::optimum:
        break;
    }
    return "optimum";
}

std::string describe(const IntervalChoice& c) {
    return fmt::format("interval={} rule={} optimum={} mtbf={} configured={} ran={} interruptions={} cost={} "
                       "latency={} measured={}",
                       text(c.interval), rule_name(c.rule), text(c.optimum), text(c.mtbf), text(c.configured),
                       text(c.history.ran), c.history.interruptions, text(c.checkpoint.cost),
                       text(c.checkpoint.latency), c.measured);
}

CheckpointCost observed_cost(Seconds pause, Seconds latency) {
    return {pause + lost_of_latency * std::max(latency - pause, Seconds(0)), std::max(latency, pause)};
}

void CostAverage::learn(const CheckpointCost& measured) {
    ++count;
    const double weight = std::max(1.0 / static_cast<double>(count), least_weight);
    mean.cost += weight * (within(measured.cost, Seconds(0), most_time) - mean.cost);
    mean.latency += weight * (within(measured.latency, Seconds(0), most_time) - mean.latency);
}

Seconds daly_interval(Seconds cost, Seconds mtbf) {
    const double x = cost / (2 * mtbf);
    if (!(x < 1)) return mtbf + cost;
    return Seconds(std::sqrt(2 * cost.count() * mtbf.count()) * (1 + std::sqrt(x) / 3 + x / 9));
}

Seconds best_interval(const CheckpointCost& checkpoint, Seconds mtbf) {
    const Seconds cost = std::max(checkpoint.cost, least_time);
    const Seconds without_latency = daly_interval(cost, mtbf);
    if (checkpoint.latency <= without_latency) return without_latency;
    const Seconds progress = std::max(checkpoint.latency - cost, Seconds(0));
    return std::clamp(mtbf - progress / std::expm1(checkpoint.latency / mtbf), without_latency,
                      checkpoint.latency);
}

Seconds estimate_mtbf(Seconds configured, const RunHistory& history) {
    return (configured_weight * configured + history.ran) /
           (configured_weight + static_cast<double>(history.interruptions));
}

IntervalPolicy::IntervalPolicy(const IntervalSettings& settings, uint64_t memory_bytes)
    : settings_(settings) {
    settings_.node_mtbf = within(settings.node_mtbf, Seconds(1), most_time);
    settings_.nodes = std::max(settings.nodes, 1.0);
    settings_.max_overhead = std::clamp(settings.max_overhead, least_overhead, 1.0);
    guess_ = observed_cost(Seconds(0), Seconds(static_cast<double>(memory_bytes) / guessed_bytes_per_second));
}

void IntervalPolicy::learn(bool full, const CheckpointCost& measured) {
    (full ? full_ : further_).learn(measured);
}

void IntervalPolicy::resume(const CostAverage& full, const CostAverage& further) {
    full_ = full;
    further_ = further;
}

// A failure comes at any time between two that are known, which are an interval and a latency apart.
Seconds IntervalPolicy::unseen(const RunHistory& history) const {
    const auto choice = choose(history);
    return std::min((choice.interval + choice.checkpoint.latency) / 2, choice.mtbf);
}

IntervalChoice IntervalPolicy::choose(const RunHistory& history) const {
    using Rule = IntervalChoice::Rule;
    IntervalChoice c;
    c.measured = full_.count + further_.count;
    c.checkpoint = further_.count > 0 ? further_.mean : full_.count > 0 ? full_.mean : guess_;
    c.history = history;
    c.configured = settings_.node_mtbf / settings_.nodes;
    c.mtbf = estimate_mtbf(c.configured, history);
    c.optimum = best_interval(c.checkpoint, c.mtbf);
    c.interval = c.optimum;
    const auto at_most = [&c](Seconds limit, Rule rule) {
        if (c.interval > limit) c.interval = limit, c.rule = rule;
    };
    const auto at_least = [&c](Seconds limit, Rule rule) {
        if (c.interval < limit) c.interval = limit, c.rule = rule;
    };
    // The later rule wins: what a site wishes, then what it promises.
    if (c.measured < enough_measured) at_most(early, Rule::early);
    if (settings_.longest > Seconds(0)) at_most(settings_.longest, Rule::longest);
    at_least(settings_.shortest, Rule::shortest);
    at_least(c.checkpoint.cost / settings_.max_overhead, Rule::overhead);
    at_most(most_time, Rule::longest);
    if (c.interval < c.checkpoint.latency) c.rule = Rule::latency;
    return c;
}

} // namespace tlc
