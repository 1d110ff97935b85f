// SPDX-License-Identifier: GPL-2.0-or-later
// What the supervisor tells of itself while it works: the job's status and its metrics. What cannot be
// written is logged once and does not matter further.
#include <tlc/base/files.hpp>
#include <tlc/base/log.hpp>
#include <tlc/base/process.hpp>
#include <tlc/base/units.hpp>
#include <tlc/supervisor/supervisor.hpp>

namespace tlc {
namespace {

constexpr std::chrono::seconds between{10};

JobStatus::Time now() { return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()); }

} // namespace

void Supervisor::begin_status() {
    status_.job = site_.job.name();
    status_.node = host_name();
    status_.started = now();
    tell_status();
}

const char* Supervisor::state() const {
    if (suspended_) return "suspended";
    if (!life_) return "starting";
    if (disk_waits_) return disk_failures_ > 0 ? "disk fails" : "disk full";
    if (leaving_) return "leaving";
    if (life_->filler()) return "filling";
    return started_ ? "running" : "starting";
}

// The newest that survives this node.
std::optional<JobStatus::Last> Supervisor::newest_anywhere() const {
    const auto newest = site_.directory.newest();
    if (!newest) return std::nullopt;
    const auto& manifest = *newest->manifest;
    return JobStatus::Last{
        manifest.sequence,
        std::chrono::floor<std::chrono::seconds>(parse_utc(manifest.created).value_or(JobStatus::Time{})),
        manifest.timings.pause_ms, manifest.timings.latency_ms, manifest.sizes.stored_bytes};
}

void Supervisor::tell_status() {
    // The file may be another copy's by now.
    if (suspended_ && status_.state == state()) return;
    if (status_.state == state() && !last_changed_ && Clock::now() < next_status_) return;
    if (std::exchange(last_changed_, false)) status_.last = newest_anywhere();
    next_status_ = Clock::now() + between;
    status_.state = state();
    status_.epoch = life_ ? life_->epoch() : 0;
    status_.updated = now();
    status_.interval = timer_.interval();
    status_.next_checkpoint = std::chrono::floor<std::chrono::seconds>(
        std::chrono::system_clock::now() +
        std::chrono::duration_cast<std::chrono::system_clock::duration>(next_checkpoint_ - Clock::now()));
    auto told = write_status(site_.directory.path(), status_);
    if (told && !site_.config.paths.metrics_dir.empty())
        told = replace_text(metrics_file(site_.config.paths.metrics_dir, status_.job), metrics_text(status_),
                            0644);
    if (!told && !std::exchange(told_of_no_status_, true))
        log::warning("the job's status cannot be told: {}", told.error().message);
}

// What is over must not look as if it went on.
void Supervisor::end_status() {
    if (site_.config.paths.metrics_dir.empty()) return;
    std::error_code ignored;
    std::filesystem::remove(metrics_file(site_.config.paths.metrics_dir, status_.job), ignored);
}

} // namespace tlc
