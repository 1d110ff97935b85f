// SPDX-License-Identifier: GPL-2.0-or-later
// Compares --vm-checkpoint=auto with fixed intervals over simulated failures: the same traces for all, the
// same IntervalPolicy as in the supervisor. Prints CSV, one line for each way to choose the interval; times
// are seconds. tests/bench/README.md tells the columns.
#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string>

#include "failures.hpp"
#include "job.hpp"

namespace {

using namespace simulation;

constexpr double day = 86400;
constexpr double year = 365.25 * day;

struct Options {
    unsigned traces = 1000;
    uint64_t seed = 20060101;
    double work = 3 * day;
    double node_mtbf = 5 * year;
};

constexpr double give_up_after = 20; // times the work
constexpr double grid_ratio = 1.25;  // from one fixed interval to the next
constexpr double least_interval = 5;
constexpr double node_counts[] = {1, 10, 100, 1e3, 1e4, 1e5};

// The first is this project's as measured with 1 GiB, the others are made up: larger memories, slower stores,
// and checkpoints for which the job stands still (cost = latency).
constexpr Case cases[] = {
    {"live-1g", 0.3, 0.5, 60, 3, 1},     {"live-64g", 5, 60, 120, 3, 64},
    {"live-512g", 20, 600, 300, 3, 512}, {"live-512g-slow", 60, 1800, 600, 1, 512},
    {"stop-64g", 60, 60, 300, 1, 64},    {"stop-512g", 600, 600, 600, 1, 512},
};

struct Named {
    std::string name;
    Plan plan;
};

std::vector<Named> plans(const Case& what, double nodes, const Options& options) {
    std::vector<Named> all;
    const auto fixed = [&](double interval) { all.push_back({"fixed", {interval, {}, 1, false}}); };
    // Below the latency: one after the other.
    const double least = std::max(what.latency / 2, least_interval);
    for (double interval = least; interval < options.work; interval *= grid_ratio)
        fixed(interval);
    fixed(std::numeric_limits<double>::infinity());
    // The configured MTBF and the cost as told, both of the true ones; the site's maximum of overhead.
    struct {
        const char* name;
        double mtbf, told, overhead;
        bool estimated;
    } constexpr autos[] = {
        {"auto", 1, 1, 1, false},
        {"auto-mtbf/3", 1.0 / 3, 1, 1, false},
        {"auto-mtbf*3", 3, 1, 1, false},
        {"auto-cost/3", 1, 1.0 / 3, 1, false},
        {"auto-cost*3", 1, 3, 1, false},
        {"auto-estimated", 1, 1, 1, true},
        {"auto-estimated-mtbf*3", 3, 1, 1, true},
        {"auto-max-0.5", 1, 1, 0.5, false},
        {"auto-max-0.5-mtbf/3", 1.0 / 3, 1, 0.5, false},
        {"auto-max-0.5-mtbf*3", 3, 1, 0.5, false},
        {"auto-max-0.1", 1, 1, 0.1, false},
        {"auto-max-0.05", 1, 1, 0.05, false},
        {"auto-max-0.02", 1, 1, 0.02, false},
        {"auto-max-0.5-estimated", 1, 1, 0.5, true},
    };
    for (const auto& a : autos) {
        tlc::IntervalSettings settings;
        settings.node_mtbf = tlc::Seconds(a.mtbf * options.node_mtbf);
        settings.nodes = nodes;
        settings.max_overhead = a.overhead;
        all.push_back({a.name, {std::nullopt, settings, a.told, a.estimated}});
    }
    return all;
}

struct Summary {
    std::vector<double> times;
    double time = 0, redone = 0, waited = 0, slowed = 0, checkpoints = 0, failures = 0;
    unsigned done = 0;
    void add(const Outcome& o) {
        times.push_back(o.time);
        time += o.time, redone += o.redone, waited += o.waited, slowed += o.slowed;
        checkpoints += static_cast<double>(o.checkpoints), failures += static_cast<double>(o.failures);
        done += o.done ? 1 : 0;
    }
};

// The standard error of the quotient of two means over the same traces.
double error_of_ratio(const Summary& a, const Summary& b, double ratio) {
    double squares = 0;
    const auto n = static_cast<double>(a.times.size());
    for (size_t i = 0; i < a.times.size(); ++i)
        squares += std::pow(a.times[i] - ratio * b.times[i], 2);
    return std::sqrt(squares / (n - 1) / n) / (b.time / n);
}

// "ratio,error" of a to the best of the fixed intervals; "," if there is nothing to compare.
std::string against(const Summary& a, const Summary* best, bool whole) {
    if (best == nullptr || !whole) return ",";
    const double ratio = a.time / best->time;
    return fmt::format("{:.5f},{:.5f}", ratio, error_of_ratio(a, *best, ratio));
}

void compare(const Case& what, Distribution distribution, double nodes, const Options& options,
             const std::vector<std::vector<double>>& traces) {
    const auto ways = plans(what, nodes, options);
    std::vector<Summary> summaries(ways.size());
    for (size_t i = 0; i < ways.size(); ++i)
        for (size_t t = 0; t < traces.size(); ++t) {
            summaries[i].add(
                run(what, ways[i].plan, traces[t], options.work, give_up_after * options.work, t * 131));
            // Hopeless: the rest would only take time.
            if (ways[i].plan.fixed && t >= 20 && summaries[i].done == 0) break;
        }
    // The best fixed interval with which every job was done, among those that keep to the limit.
    const auto best = [&](double max_overhead) {
        const Summary* found = nullptr;
        for (size_t i = 0; i < ways.size(); ++i)
            if (ways[i].plan.fixed && what.cost <= max_overhead * *ways[i].plan.fixed &&
                summaries[i].done == traces.size() && (found == nullptr || summaries[i].time < found->time))
                found = &summaries[i];
        return found;
    };
    for (size_t i = 0; i < ways.size(); ++i) {
        const auto& s = summaries[i];
        const auto& plan = ways[i].plan;
        const auto n = static_cast<double>(s.times.size());
        const bool whole = s.done == traces.size();
        fmt::print("{},{},{:.0f},{},{},{:.1f},{:.4f},{:.4f},{:.4f},{:.4f},{:.2f},{:.2f},{},{}\n", what.name,
                   name_of(distribution), nodes, ways[i].name,
                   plan.fixed ? fmt::format("{:.1f}", *plan.fixed) : "", 100.0 * s.done / n,
                   s.time / n / options.work, s.redone / n / options.work, s.slowed / n / options.work,
                   s.waited / n / options.work, s.checkpoints / n, s.failures / n,
                   against(s, best(std::numeric_limits<double>::infinity()), whole),
                   against(s, best(plan.fixed ? 1 : plan.settings.max_overhead), whole));
    }
    std::fflush(stdout);
}

bool parse(int count, char** words, Options& options) {
    for (int i = 1; i + 1 < count; i += 2) {
        char* end = nullptr;
        const double value = std::strtod(words[i + 1], &end);
        if (*end != '\0' || !(value > 0)) return false;
        if (std::strcmp(words[i], "--traces") == 0 && value >= 2)
            options.traces = static_cast<unsigned>(value);
        else if (std::strcmp(words[i], "--seed") == 0)
            options.seed = static_cast<uint64_t>(value);
        else if (std::strcmp(words[i], "--days") == 0)
            options.work = value * day;
        else if (std::strcmp(words[i], "--node-mtbf-years") == 0)
            options.node_mtbf = value * year;
        else
            return false;
    }
    return count % 2 == 1;
}

} // namespace

int main(int count, char** words) {
    Options options;
    if (!parse(count, words, options)) {
        fmt::print(stderr, "usage: interval_simulation [--traces N] [--seed N] [--days D] "
                           "[--node-mtbf-years Y]\n");
        return 2;
    }
    fmt::print("case,failures_are,nodes,policy,interval_s,done_percent,completion,redone,slowed,waited,"
               "checkpoints,failures,of_best_fixed,error_of_best,of_best_allowed,error_of_allowed\n");
    for (const auto distribution : {Distribution::exponential, Distribution::weibull})
        for (const double nodes : node_counts) {
            std::vector<std::vector<double>> traces;
            for (unsigned t = 0; t < options.traces; ++t)
                traces.push_back(failure_trace(distribution, options.node_mtbf / nodes,
                                               (give_up_after + 1) * options.work + day,
                                               options.seed + t + static_cast<uint64_t>(nodes) * 1'000'003));
            for (const auto& what : cases)
                compare(what, distribution, nodes, options, traces);
        }
    return 0;
}
