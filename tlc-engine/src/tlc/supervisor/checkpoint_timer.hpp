// SPDX-License-Identifier: GPL-2.0-or-later
// When the supervisor's next checkpoint is due: after the interval the user has asked for, or for
// --vm-checkpoint=auto after the one that IntervalPolicy chooses, which is logged when it changes. Brings the
// policy what it needs of the job: what checkpoints have cost, how long it ran, how often it was interrupted.
// That outlives a start of the job in the manifests of its checkpoints. Not thread-safe.
#pragma once

#include <tlc/config/config.hpp>
#include <tlc/request/request.hpp>
#include <tlc/supervisor/cost_meter.hpp>
#include <tlc/supervisor/interval_policy.hpp>

#include <nlohmann/json.hpp>

#include <chrono>
#include <functional>
#include <optional>

namespace tlc {

class CheckpointTimer {
  public:
    using Clock = std::chrono::steady_clock;
    using ProcessorTime = std::function<std::optional<Seconds>()>;
    static constexpr const char* key = "auto"; // of memory() in a manifest's "job"

    // `memory_bytes`: the VM's.
    CheckpointTimer(const JobRequest& request, const SiteConfig::Auto& site, uint64_t memory_bytes);

    // The job continues from a checkpoint; `job` is its manifest's. What it has learnt is taken over unless
    // more is known already.
    void resume(const nlohmann::json& job, Clock::time_point now);
    // Then: a life of the VM begins, the `epoch`-th of the job. `used`: processor time of the VM's process so
    // far, asked for until the next life; may be empty. When its first checkpoint is due.
    Clock::time_point begin_life(uint64_t epoch, Clock::time_point now, ProcessorTime used = {});
    // The script starts, or a checkpoint is begun. When the next one is due.
    Clock::time_point begin(Clock::time_point now);
    // The checkpoint begun last has taken so long. `full`: it needs no older image. When the next one is due,
    // now that more is known.
    Clock::time_point learn(bool full, Seconds pause, Seconds latency, Clock::time_point now);
    // The checkpoint begun last has come to nothing. When to try again: half a minute later, then after twice
    // as long each time, but never later than its next turn.
    Clock::time_point failed(Clock::time_point now);
    // A checkpoint has left the node, which took so long. They need not follow faster: those between two that
    // are carried survive no failure of the node.
    void carried(Seconds took);

    // Between two checkpoints, as it is now.
    std::chrono::seconds interval() const {
        return fixed_ ? *fixed_ : std::chrono::round<std::chrono::seconds>(choice_.interval);
    }
    // For resume(); null unless the interval is chosen here.
    nlohmann::json memory(Clock::time_point now) const;

  private:
    Seconds ran(Clock::time_point now) const;
    std::optional<CostMeter::Sample> sample(Clock::time_point now) const;
    Clock::time_point due(Clock::time_point now);

    const std::optional<std::chrono::seconds> fixed_;
    IntervalPolicy policy_;
    IntervalChoice choice_;
    IntervalChoice logged_;
    Seconds ran_before_{0}; // this life
    std::optional<Clock::time_point> life_began_;
    uint64_t interruptions_ = 0;
    uint64_t accounted_ = 0;  // interruptions before which all time is in ran_before_
    Clock::time_point began_; // the interval
    unsigned failed_ = 0;     // in a row
    Seconds carrying_{0};
    ProcessorTime used_;
    CostMeter meter_;
};

} // namespace tlc
