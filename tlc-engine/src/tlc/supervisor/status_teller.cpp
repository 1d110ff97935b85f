// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/files.hpp>
#include <tlc/base/log.hpp>
#include <tlc/base/process.hpp>
#include <tlc/base/units.hpp>
#include <tlc/supervisor/status_teller.hpp>

#include <algorithm>

namespace tlc {
namespace {

constexpr std::chrono::seconds between{10};

JobStatus::Time now_in_seconds() {
    return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

} // namespace

StatusTeller::StatusTeller(const JobSite& site) : site_(site) {
    status_.job = site_.job.name();
    status_.node = host_name();
    status_.started = now_in_seconds();
}

// The newest that survives this node.
std::optional<JobStatus::Last> StatusTeller::newest_anywhere() const {
    const auto newest = site_.directory.newest();
    if (!newest) return std::nullopt;
    const auto& manifest = *newest->manifest;
    return JobStatus::Last{
        manifest.sequence,
        std::chrono::floor<std::chrono::seconds>(parse_utc(manifest.created).value_or(JobStatus::Time{})),
        manifest.timings.pause_ms, manifest.timings.latency_ms, manifest.sizes.stored_bytes};
}

void StatusTeller::published(double pause_ms) {
    ++status_.checkpoints;
    status_.stopped_ms += pause_ms;
    status_.longest_pause_ms = std::max(status_.longest_pause_ms, pause_ms);
    newest_changed_ = true;
}

void StatusTeller::tell(const Now& now) {
    if (now.suspended && status_.state == now.state) return;
    if (status_.state == now.state && !newest_changed_ && Clock::now() < next_) return;
    if (std::exchange(newest_changed_, false)) status_.last = newest_anywhere();
    next_ = Clock::now() + between;
    status_.state = now.state;
    status_.epoch = now.epoch;
    status_.updated = now_in_seconds();
    status_.interval = now.interval;
    status_.next_checkpoint = std::chrono::floor<std::chrono::seconds>(
        std::chrono::system_clock::now() +
        std::chrono::duration_cast<std::chrono::system_clock::duration>(now.next_checkpoint - Clock::now()));
    auto told = write_status(site_.directory.path(), status_);
    if (told && !site_.config.paths.metrics_dir.empty())
        told = replace_text(metrics_file(site_.config.paths.metrics_dir, status_.job), metrics_text(status_),
                            0644);
    if (!told && !std::exchange(told_of_failure_, true))
        log::warning("the job's status cannot be told: {}", told.error().message);
}

void StatusTeller::end() const {
    if (site_.config.paths.metrics_dir.empty()) return;
    std::error_code ignored;
    std::filesystem::remove(metrics_file(site_.config.paths.metrics_dir, status_.job), ignored);
}

} // namespace tlc
