// SPDX-License-Identifier: GPL-2.0-or-later
// The second level of checkpoints: what was published on the node is carried to the job's directory, which
// survives the node, by an engine process in the background; the newest one, whatever came in between.
#include <tlc/base/log.hpp>
#include <tlc/base/units.hpp>
#include <tlc/supervisor/supervisor.hpp>

#include <algorithm>

namespace tlc {
// One number in both directories.
Result<ClaimedCheckpoint> Supervisor::claim_checkpoint() const {
    if (!site_.two_levels()) return site_.directory.claim_checkpoint();
    TLC_TRY_ASSIGN(there, site_.store.newest_sequence());
    TLC_TRY_ASSIGN(claimed, site_.directory.claim_checkpoint(there + 1));
    return site_.store.claim_checkpoint_as(claimed.sequence);
}

// All there are, newest first; of one that is in both directories the node's own copy comes first.
Result<std::vector<Checkpoint>> Supervisor::all_checkpoints() const {
    if (!site_.two_levels()) return site_.directory.list();
    TLC_TRY_ASSIGN(own, site_.store.list());
    TLC_TRY_ASSIGN(shared, site_.directory.list());
    own.insert(own.end(), std::make_move_iterator(shared.begin()), std::make_move_iterator(shared.end()));
    const auto age = [](const Checkpoint& c) {
        return std::pair(c.manifest ? c.manifest->epoch : 0, c.sequence);
    };
    std::stable_sort(own.begin(), own.end(), [&](const auto& a, const auto& b) { return age(a) > age(b); });
    return own;
}

void Supervisor::carry_newest() {
    if (!site_.two_levels() || carrier_ || !to_carry_) return;
    const uint64_t sequence = *std::exchange(to_carry_, std::nullopt);
    std::vector<std::string> arguments{"carry",  "--json",
                                       "--from", site_.store.checkpoint_directory(sequence).string(),
                                       "--to",   site_.directory.checkpoint_directory(sequence).string()};
    arguments.insert(arguments.end(), {"--epoch", fmt::format("{}", claimed_epoch_)});
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

// The last one published: earlier ones that have not left yet need not any more.
void Supervisor::will_carry(uint64_t sequence) {
    if (!site_.two_levels()) return;
    if (to_carry_) give_up_carrying(*to_carry_);
    to_carry_ = sequence;
    carry_newest();
}

void Supervisor::give_up_carrying(uint64_t sequence) const {
    // A newer run may use the number.
    if (!site_.directory.fence(claimed_epoch_)) return;
    if (auto removed = site_.directory.remove(sequence, remove_disk); !removed)
        log::warning("{}", removed.error().message);
}

Status Supervisor::follow_carrier() {
    auto answer = carrier_->poll();
    if (!answer && !carrier_->stalled(std::chrono::seconds(site_.config.job.stall_seconds))) return {};
    if (!answer) answer = fail("the engine that carries it has neither computed nor moved data for too long");
    carrier_.reset();
    const uint64_t sequence = *std::exchange(carrying_, std::nullopt);
    if (!*answer) {
        const auto& error = answer->error();
        if (error.kind == ErrorKind::busy)
            return in_context(error, "this copy of the job has been replaced by a newer one and stops");
        log::warning("checkpoint {} stays on this node: {}", sequence, error.message);
        give_up_carrying(sequence);
        if (error.kind == ErrorKind::no_space && !std::exchange(told_of_no_carrying_, true))
            fmt::print(stderr, "tlc-run: checkpoints stay on this node until there is space in {}: {}\n",
                       site_.directory.path().parent_path().string(), error.message);
    } else {
        told_of_no_carrying_ = false;
        last_changed_ = true;
        timer_.carried(std::chrono::duration<double, std::milli>((*answer)->value("latency_ms", 0.0)));
        log::info("carried={} memory={} disk={} took={}", sequence,
                  size_text((*answer)->value("memory_bytes", uint64_t{0})),
                  size_text((*answer)->value("disk_bytes", uint64_t{0})),
                  duration_text(
                      std::chrono::milliseconds(static_cast<int64_t>((*answer)->value("latency_ms", 0.0)))));
        if (auto pruned = prune(site_.directory); !pruned)
            log::warning("old checkpoints stay: {}", pruned.error().message);
    }
    carry_newest();
    return {};
}

// The job is over: halves are of no use to anybody.
void Supervisor::stop_carrying() {
    carrier_.reset();
    for (auto* sequence : {&carrying_, &to_carry_})
        if (const auto half = std::exchange(*sequence, std::nullopt)) give_up_carrying(*half);
}

// A new life: what a former one was carrying is carried anew if it is still the newest.
Status Supervisor::sweep(uint64_t epoch) {
    carrier_.reset();
    carrying_.reset();
    to_carry_.reset();
    claimed_epoch_ = epoch;
    auto swept = site_.store.sweep(epoch, [&](const auto& path) { return site_.disk.remove(path); });
    if (!site_.two_levels()) return swept;
    if (auto shared = site_.directory.sweep(epoch, remove_disk); swept) swept = std::move(shared);
    const auto own = site_.store.newest();
    const auto shared = site_.directory.newest();
    const auto age = [](const Checkpoint& c) { return std::pair(c.manifest->epoch, c.sequence); };
    if (!own || (shared && age(*shared) >= age(*own))) return swept;
    // Its place may be gone with the sweep.
    if (auto claimed = site_.directory.claim_checkpoint_as(own->sequence)) will_carry(own->sequence);
    return swept;
}

// A newer run may use the number in the job's directory.
Status Supervisor::discard(uint64_t sequence) const {
    TLC_TRY(site_.directory.fence(claimed_epoch_));
    TLC_TRY(site_.store.remove(sequence, [&](const auto& path) { return site_.disk.remove(path); }));
    return site_.two_levels() ? site_.directory.remove(sequence, remove_disk) : Status{};
}

size_t Supervisor::kept() const {
    return site_.job.request.keep != 0 ? site_.job.request.keep : site_.config.job.keep;
}

// In one of the two directories. One that is being carried stays until it has left, and so does the one that
// the user has chosen to restart from.
Result<size_t> Supervisor::prune(const JobDirectory& from) const {
    std::set<std::filesystem::path> damaged;
    for (const auto& [directory, error] : unusable_)
        damaged.insert(directory);
    TLC_TRY_ASSIGN(superfluous, from.prunable(kept(), damaged));
    const bool own = from.path() == site_.store.path();
    size_t removed = 0;
    for (const auto& checkpoint : superfluous) {
        if (site_.job.restart_sequence == checkpoint.sequence) continue;
        if (own && (carrying_ == checkpoint.sequence || to_carry_ == checkpoint.sequence)) continue;
        TLC_TRY(from.remove(checkpoint.sequence,
                            own ? [this](const auto& path) { return site_.disk.remove(path); }
                                : JobDirectory::Remover(remove_disk)));
        ++removed;
    }
    return removed;
}

} // namespace tlc
