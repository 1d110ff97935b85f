// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/log.hpp>
#include <tlc/base/units.hpp>
#include <tlc/supervisor/checkpoint_levels.hpp>

#include <algorithm>
#include <set>

namespace tlc {
namespace {

// Later lives are newer, whatever their numbers.
std::pair<uint64_t, uint64_t> age(const Checkpoint& c) {
    return {c.manifest ? c.manifest->epoch : 0, c.sequence};
}

} // namespace

Result<ClaimedCheckpoint> CheckpointLevels::claim() const {
    if (!site_.two_levels()) return site_.directory.claim_checkpoint();
    TLC_TRY_ASSIGN(there, site_.store.newest_sequence());
    TLC_TRY_ASSIGN(claimed, site_.directory.claim_checkpoint(there + 1));
    return site_.store.claim_checkpoint_as(claimed.sequence);
}

Result<std::vector<Checkpoint>> CheckpointLevels::all() const {
    if (!site_.two_levels()) return site_.directory.list();
    TLC_TRY_ASSIGN(own, site_.store.list());
    TLC_TRY_ASSIGN(shared, site_.directory.list());
    own.insert(own.end(), std::make_move_iterator(shared.begin()), std::make_move_iterator(shared.end()));
    std::stable_sort(own.begin(), own.end(), [](const auto& a, const auto& b) { return age(a) > age(b); });
    return own;
}

const Error* CheckpointLevels::damage_of(const std::filesystem::path& directory) const {
    const auto known = damaged_.find(directory);
    return known == damaged_.end() ? nullptr : &known->second;
}

void CheckpointLevels::carry(uint64_t sequence) {
    if (!site_.two_levels()) return;
    if (next_) give_up(*next_);
    next_ = sequence;
    carry_next();
}

void CheckpointLevels::carry_next() {
    if (!site_.two_levels() || carrier_ || !next_) return;
    const uint64_t sequence = *std::exchange(next_, std::nullopt);
    std::vector<std::string> arguments{"carry",  "--json",
                                       "--from", site_.store.checkpoint_directory(sequence).string(),
                                       "--to",   site_.directory.checkpoint_directory(sequence).string()};
    arguments.insert(arguments.end(), {"--epoch", fmt::format("{}", epoch_)});
    if (const auto base = site_.directory.newest())
        arguments.insert(arguments.end(), {"--base", base->directory.string()});
    if (site_.config.job.carry_rate_bytes > 0)
        arguments.insert(arguments.end(),
                         {"--rate", fmt::format("{}", site_.config.job.carry_rate_bytes >> 20)});
    auto started = EngineProcess::start(site_.config.paths.engine, std::move(arguments), site_.log_fd);
    if (!started)
        return log::warning("checkpoint {} stays on this node: {}", sequence, started.error().message);
    carrier_ = std::move(*started);
    carrying_ = sequence;
}

void CheckpointLevels::give_up(uint64_t sequence) const {
    // A newer run may use the number.
    if (!site_.directory.fence(epoch_)) return;
    if (auto removed = site_.directory.remove(sequence, remove_disk); !removed)
        log::warning("{}", removed.error().message);
}

void CheckpointLevels::not_carried(uint64_t sequence, const Error& error) {
    log::warning("checkpoint {} stays on this node: {}", sequence, error.message);
    give_up(sequence);
    if (error.kind == ErrorKind::no_space && !std::exchange(told_of_no_space_, true))
        fmt::print(stderr, "tlc-run: checkpoints stay on this node until there is space in {}: {}\n",
                   site_.directory.path().parent_path().string(), error.message);
}

Result<std::optional<CheckpointLevels::Seconds>> CheckpointLevels::follow() {
    std::optional<Seconds> took;
    auto answer = carrier_->poll();
    if (!answer && !carrier_->stalled(std::chrono::seconds(site_.config.job.stall_seconds))) return took;
    if (!answer) answer = fail("the engine that carries it has neither computed nor moved data for too long");
    carrier_.reset();
    const uint64_t sequence = *std::exchange(carrying_, std::nullopt);
    if (*answer) {
        const auto& report = **answer;
        const std::chrono::duration<double, std::milli> latency(report.value("latency_ms", 0.0));
        took = latency;
        told_of_no_space_ = false;
        log::info("carried={} memory={} disk={} took={}", sequence,
                  size_text(report.value("memory_bytes", uint64_t{0})),
                  size_text(report.value("disk_bytes", uint64_t{0})),
                  duration_text(std::chrono::duration_cast<std::chrono::milliseconds>(latency)));
        if (auto pruned = prune(site_.directory); !pruned)
            log::warning("old checkpoints stay: {}", pruned.error().message);
    } else if (answer->error().kind == ErrorKind::busy) {
        return in_context(answer->error(), "this copy of the job has been replaced by a newer one and stops");
    } else {
        not_carried(sequence, answer->error());
    }
    carry_next();
    return took;
}

void CheckpointLevels::stop_carrying() {
    carrier_.reset();
    for (auto* sequence : {&carrying_, &next_})
        if (const auto half = std::exchange(*sequence, std::nullopt)) give_up(*half);
}

Status CheckpointLevels::begin_epoch(uint64_t epoch) {
    carrier_.reset();
    carrying_.reset();
    next_.reset();
    epoch_ = epoch;
    auto swept = site_.store.sweep(epoch, [&](const auto& path) { return site_.disk.remove(path); });
    if (!site_.two_levels()) return swept;
    if (auto shared = site_.directory.sweep(epoch, remove_disk); swept) swept = std::move(shared);
    const auto own = site_.store.newest();
    const auto shared = site_.directory.newest();
    if (!own || (shared && age(*shared) >= age(*own))) return swept;
    // Its place may be gone with the sweep.
    if (auto claimed = site_.directory.claim_checkpoint_as(own->sequence)) carry(own->sequence);
    return swept;
}

Status CheckpointLevels::discard(uint64_t sequence) const {
    TLC_TRY(site_.directory.fence(epoch_));
    TLC_TRY(site_.store.remove(sequence, [&](const auto& path) { return site_.disk.remove(path); }));
    return site_.two_levels() ? site_.directory.remove(sequence, remove_disk) : Status{};
}

// One that is being carried stays until it has left, and so does the one that the user has chosen to restart
// from.
Result<size_t> CheckpointLevels::prune(const JobDirectory& from) const {
    std::set<std::filesystem::path> damaged;
    for (const auto& [directory, error] : damaged_)
        damaged.insert(directory);
    const size_t keep = site_.job.request.keep != 0 ? site_.job.request.keep : site_.config.job.keep;
    TLC_TRY_ASSIGN(superfluous, from.prunable(keep, damaged));
    const bool own = from.path() == site_.store.path();
    size_t removed = 0;
    for (const auto& checkpoint : superfluous) {
        if (site_.job.restart_sequence == checkpoint.sequence) continue;
        if (own && (carrying_ == checkpoint.sequence || next_ == checkpoint.sequence)) continue;
        TLC_TRY(from.remove(checkpoint.sequence,
                            own ? [this](const auto& path) { return site_.disk.remove(path); }
                                : JobDirectory::Remover(remove_disk)));
        ++removed;
    }
    return removed;
}

} // namespace tlc
