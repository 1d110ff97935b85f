// SPDX-License-Identifier: GPL-2.0-or-later
#include "job.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "failures.hpp"

namespace simulation {
namespace {

using tlc::Seconds;

// Factors with mean 1 by which checkpoints differ: log-normal, standard deviation of the logarithm 0.3.
constexpr double spread = 0.3;
const auto& factors() {
    static const auto made = [] {
        std::array<double, 4096> all{};
        Random random(1);
        for (double& factor : all) {
            const double radius = std::sqrt(-2 * std::log1p(-random.next()));
            const double normal = radius * std::cos(2 * std::numbers::pi * random.next());
            factor = std::exp(spread * normal - spread * spread / 2);
        }
        return all;
    }();
    return made;
}

// When the next checkpoint begins: what CheckpointTimer does, with numbers for times.
class Timer {
  public:
    Timer(const Plan& plan, const Case& what)
        : plan_(plan), stands_still_(what.stands_still()),
          policy_(plan.settings, static_cast<uint64_t>(what.memory_gib * 0x1p30)) {}

    void begin_life(double now, uint64_t interruptions) {
        life_began_ = now;
        history_.interruptions = interruptions;
    }
    double interval(double now) {
        if (plan_.fixed) return *plan_.fixed;
        history_.ran = Seconds(ran_before_ + now - life_began_);
        return policy_.choose(history_).interval.count();
    }
    void learn(bool full, double cost, double latency) {
        if (plan_.estimated)
            policy_.learn(full, tlc::observed_cost(Seconds(stands_still_ ? cost : 0), Seconds(latency)));
        else
            policy_.learn(full, {Seconds(cost * plan_.told), Seconds(latency)});
    }
    // A node's death: what is known of the time is what the newest checkpoint tells.
    void durable(double now) { known_ran_ = ran_before_ + now - life_began_; }
    void lose(uint64_t interruptions) {
        known_ran_ += policy_.unseen({Seconds(known_ran_), interruptions}).count();
        ran_before_ = known_ran_;
    }

  private:
    const Plan& plan_;
    const bool stands_still_;
    tlc::IntervalPolicy policy_;
    tlc::RunHistory history_;
    double ran_before_ = 0;
    double known_ran_ = 0;
    double life_began_ = 0;
};

class Run {
  public:
    Run(const Case& what, const Plan& plan, const std::vector<double>& trace, double work, double give_up,
        uint64_t seed)
        : what_(what), timer_(plan, what), trace_(trace), work_(work), give_up_(give_up), factor_(seed) {}

    Outcome all() {
        while (!live())
            if (!restart()) break;
        out_.time = now_;
        return out_;
    }

  private:
    double next_failure() const { return trace_[out_.failures]; }

    void fail() {
        now_ = next_failure();
        ++out_.failures;
        timer_.lose(out_.failures);
    }

    // False: the job is given up.
    bool restart() {
        while (now_ < give_up_) {
            const double began = now_;
            const bool up = now_ + what_.restart < next_failure();
            if (up)
                now_ += what_.restart;
            else
                fail();
            out_.waited += now_ - began;
            if (up) return true;
        }
        return false;
    }

    // Until a failure (false), or until the job is done or given up.
    bool live() {
        timer_.begin_life(now_, out_.failures);
        done_ = saved_;
        double begun = now_;
        for (bool full = true; now_ < give_up_; full = false) {
            const double due = std::max(now_, begun + timer_.interval(now_));
            if (!compute(due, 1)) return out_.done;
            begun = now_;
            if (!checkpoint(full)) return out_.done;
        }
        return true;
    }

    // Works until then at this speed. False if the job is done or has failed before.
    bool compute(double until, double speed) {
        const double end = speed > 0 ? now_ + (work_ - done_) / speed : until + 1;
        const double stop = std::min({until, end, next_failure()});
        done_ += (stop - now_) * speed;
        out_.slowed += (stop - now_) * (1 - speed);
        if (next_failure() <= stop) {
            out_.redone += done_ - saved_;
            fail();
            return false;
        }
        now_ = stop;
        out_.done = end <= until;
        return !out_.done;
    }

    bool checkpoint(bool full) {
        const double factor = factors()[factor_++ % factors().size()] * (full ? what_.full_factor : 1);
        const double cost = what_.cost * factor, latency = what_.latency * factor, holds = done_;
        if (!compute(now_ + latency, 1 - cost / latency)) return false;
        saved_ = holds;
        timer_.learn(full, cost, latency);
        timer_.durable(now_);
        ++out_.checkpoints;
        return true;
    }

    const Case& what_;
    Timer timer_;
    const std::vector<double>& trace_;
    const double work_, give_up_;
    uint64_t factor_;
    double now_ = 0;
    double done_ = 0;  // work
    double saved_ = 0; // of it, in a durable checkpoint
    Outcome out_;
};

} // namespace

Outcome run(const Case& what, const Plan& plan, const std::vector<double>& trace, double work, double give_up,
            uint64_t seed) {
    return Run(what, plan, trace, work, give_up, seed).all();
}

} // namespace simulation
