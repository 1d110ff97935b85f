// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/log.hpp>
#include <tlc/supervisor/checkpoint_timer.hpp>

#include <algorithm>
#include <cmath>

namespace tlc {
namespace {

// A chosen interval is logged again when it has changed by more than this.
constexpr double worth_logging = 1.1;

// Lives that are looked at one by one.
constexpr uint64_t most_unseen = 1000;
constexpr std::chrono::seconds first_retry{30};
constexpr unsigned most_doublings = 20; // a year

IntervalSettings settings_of(const SiteConfig::Auto& site) {
    IntervalSettings settings;
    settings.node_mtbf = site.node_mtbf;
    settings.max_overhead = site.max_overhead;
    settings.shortest = std::max(Seconds(site.min_interval), Seconds(1));
    settings.longest = site.max_interval;
    return settings;
}

nlohmann::json as_json(const CostAverage& average) {
    return {{"cost_s", average.mean.cost.count()},
            {"latency_s", average.mean.latency.count()},
            {"count", average.count}};
}

// Zero for what is not there or no such number.
double number_in(const nlohmann::json& object, const char* key) {
    const auto found = object.is_object() ? object.find(key) : object.end();
    if (!object.is_object() || found == object.end() || !found->is_number()) return 0;
    const auto value = found->get<double>();
    return value >= 0 && value <= 1e9 ? value : 0;
}

CostAverage average_in(const nlohmann::json& object, const char* key) {
    CostAverage average;
    if (!object.is_object() || !object.contains(key)) return average;
    const auto& inner = object.at(key);
    average.mean = {Seconds(number_in(inner, "cost_s")), Seconds(number_in(inner, "latency_s"))};
    average.count = static_cast<uint64_t>(number_in(inner, "count"));
    return average;
}

bool differ(const IntervalChoice& a, const IntervalChoice& b) {
    return a.rule != b.rule || a.interval > worth_logging * b.interval ||
           b.interval > worth_logging * a.interval;
}

} // namespace

CheckpointTimer::CheckpointTimer(const JobRequest& request, const SiteConfig::Auto& site,
                                 uint64_t memory_bytes)
    : fixed_(request.automatic ? std::nullopt : std::optional(request.interval)),
      policy_(settings_of(site), memory_bytes) {}

Seconds CheckpointTimer::ran(Clock::time_point now) const {
    return ran_before_ + (life_began_ ? Seconds(now - *life_began_) : Seconds(0));
}

void CheckpointTimer::resume(const nlohmann::json& job, Clock::time_point now) {
    const auto known = job.is_object() ? job.find(key) : job.end();
    const auto memory = job.is_object() && known != job.end() ? *known : nlohmann::json();
    ran_before_ = ran(now);
    life_began_.reset();
    if (const Seconds told(number_in(memory, "ran_s")); told > ran_before_) {
        ran_before_ = told;
        accounted_ = static_cast<uint64_t>(number_in(memory, "interruptions"));
    }
    const auto full = average_in(memory, "full");
    const auto further = average_in(memory, "further");
    if (full.count + further.count > policy_.full().count + policy_.further().count)
        policy_.resume(full, further);
}

std::optional<CostMeter::Sample> CheckpointTimer::sample(Clock::time_point now) const {
    const auto used = used_ && !fixed_ ? used_() : std::nullopt;
    if (!used) return std::nullopt;
    return CostMeter::Sample{now.time_since_epoch(), *used};
}

CheckpointTimer::Clock::time_point CheckpointTimer::begin_life(uint64_t epoch, Clock::time_point now,
                                                               ProcessorTime used) {
    used_ = std::move(used);
    meter_ = {};
    if (const auto seen = sample(now)) meter_.rest(*seen);
    ran_before_ = ran(now);
    life_began_ = now;
    interruptions_ = epoch > 0 ? epoch - 1 : 0;
    // Those of other processes, which cannot tell any more.
    for (accounted_ = std::max(accounted_, interruptions_ - std::min(interruptions_, most_unseen));
         accounted_ < interruptions_; ++accounted_)
        ran_before_ += policy_.unseen({ran_before_, accounted_ + 1});
    accounted_ = interruptions_ + 1;
    return begin(now);
}

CheckpointTimer::Clock::time_point CheckpointTimer::begin(Clock::time_point now) {
    began_ = now;
    if (const auto seen = sample(now)) meter_.begin(*seen);
    return due(now);
}

CheckpointTimer::Clock::time_point CheckpointTimer::learn(bool full, Seconds pause, Seconds latency,
                                                          Clock::time_point now) {
    std::optional<Seconds> lost;
    if (const auto seen = sample(now)) lost = meter_.end(*seen);
    policy_.learn(full, observed_cost(pause, latency, lost));
    failed_ = 0;
    return due(now);
}

CheckpointTimer::Clock::time_point CheckpointTimer::failed(Clock::time_point now) {
    const auto patience = first_retry * (1U << std::min(failed_++, most_doublings));
    return std::min(now + patience, due(now));
}

void CheckpointTimer::carried(Seconds took) { carrying_ = took; }

CheckpointTimer::Clock::time_point CheckpointTimer::due(Clock::time_point now) {
    if (fixed_) return began_ + *fixed_;
    choice_ = policy_.choose({ran(now), interruptions_});
    if (differ(choice_, logged_)) {
        log::info("auto: {}", describe(choice_));
        logged_ = choice_;
    }
    return began_ + std::chrono::duration_cast<Clock::duration>(std::max(choice_.interval, carrying_));
}

nlohmann::json CheckpointTimer::memory(Clock::time_point now) const {
    if (fixed_) return nullptr;
    return {{"ran_s", ran(now).count()},
            {"interruptions", interruptions_},
            {"full", as_json(policy_.full())},
            {"further", as_json(policy_.further())},
            {"choice", describe(choice_)}};
}

} // namespace tlc
