// SPDX-License-Identifier: GPL-2.0-or-later
// The supervisor begins a life of the VM: from the newest checkpoint that can be restored or, if the job has
// none, from the start.
#include <tlc/base/log.hpp>
#include <tlc/base/units.hpp>
#include <tlc/supervisor/host_check.hpp>
#include <tlc/supervisor/supervisor.hpp>

namespace tlc {
namespace {

std::string branch_of(const Manifest& manifest) {
    const auto branch = manifest.job.find("branch");
    return branch != manifest.job.end() && branch->is_string() ? branch->get<std::string>() : std::string();
}

} // namespace

Result<std::vector<Checkpoint>> Supervisor::candidates() const {
    TLC_TRY_ASSIGN(all, levels_.all());
    if (branch_.empty()) return all;
    // Restarted from a chosen checkpoint: what this branch has saved since, then the chosen one.
    std::vector<Checkpoint> out;
    for (const auto& checkpoint : all)
        if (checkpoint.manifest && branch_of(*checkpoint.manifest) == branch_) out.push_back(checkpoint);
    for (const auto& checkpoint : all)
        if (checkpoint.sequence == site_.job.restart_sequence) out.push_back(checkpoint);
    return out;
}

// What is no damage may pass: a file server that comes back, memory that another job frees. Only then is an
// older checkpoint worth less than some seconds. `checkpoint` is read again.
Result<std::unique_ptr<Incarnation>> Supervisor::restore_patiently(uint64_t epoch, Checkpoint& checkpoint,
                                                                   SignalQueue& signals) {
    auto life = Incarnation::restore(site_, epoch, checkpoint);
    for (const auto wait : {std::chrono::seconds(2), std::chrono::seconds(10)}) {
        if (life || life.error().kind == ErrorKind::damaged || life.error().kind == ErrorKind::incompatible)
            break;
        log::warning("checkpoint {} is tried again in {} s: {}", checkpoint.sequence, wait.count(),
                     life.error().message);
        if (auto slept = signals.sleep(wait); !slept) {
            interrupted_ = true;
            return tl::unexpected(slept.error());
        }
        TLC_TRY_ASSIGN(all, levels_.all());
        for (auto& now : all)
            if (now.directory == checkpoint.directory) checkpoint = std::move(now);
        life = Incarnation::restore(site_, epoch, checkpoint);
    }
    return life;
}

Result<std::unique_ptr<Incarnation>> Supervisor::restore_newest(uint64_t epoch, SignalQueue& signals) {
    TLC_TRY_ASSIGN(checkpoints, candidates());
    std::optional<Error> last;
    for (auto& checkpoint : checkpoints) {
        if (const auto* damage = levels_.damage_of(checkpoint.directory)) {
            last = *damage;
            notices_.add("checkpoint {} cannot be restored, trying the one before it: {}",
                         checkpoint.sequence, last->message);
            continue;
        }
        const auto began = Clock::now();
        // At this copy's start, before anything is begun; in place nothing has changed.
        const bool arrived = checkpoint.manifest && epochs_.size() == 1;
        const auto fits =
            arrived ? check_host_and_qemu(*checkpoint.manifest, site_.config, site_.kvm_device) : Status{};
        auto life = fits ? restore_patiently(epoch, checkpoint, signals) : tl::unexpected(fits.error());
        if (life) {
            const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - began);
            log::info("restored checkpoint={} taken={} epoch={} took={}", checkpoint.sequence,
                      checkpoint.manifest->created, epoch, duration_text(took));
            restored_ = checkpoint.directory;
            timer_.resume(checkpoint.manifest->job, Clock::now());
            return life;
        }
        last = life.error();
        if (interrupted_) return tl::unexpected(*last);
        if (last->kind == ErrorKind::incompatible) break;
        if (last->kind == ErrorKind::damaged) levels_.is_damaged(checkpoint.directory, *last);
        notices_.add("checkpoint {} cannot be restored, trying the one before it: {}", checkpoint.sequence,
                     last->message);
    }
    if (!last) return fail(ErrorKind::no_checkpoint, "there is no checkpoint");
    return in_context(*last, "no checkpoint could be restored");
}

Status Supervisor::begin_life(SignalQueue& signals) {
    if (slurm_) slurm_->guard(-1);
    life_.reset();
    engine_.reset();
    merge_.forget();
    memory_lost_ = disk_lost_ = disk_waits_ = false;
    disk_failures_ = 0;
    if (++lives_without_progress_ > most_lives_without_progress)
        return fail(
            "the VM has ended {} times without a new checkpoint; see console-*.log and qemu-*.log in {}",
            most_lives_without_progress, site_.directory.path().string());
    TLC_TRY_ASSIGN(epoch, site_.directory.claim_epoch());
    epochs_.push_back(epoch);
    TLC_TRY(check_progress(epoch));
    if (auto swept = levels_.begin_epoch(epoch); !swept)
        log::warning("leftovers of an earlier start stay: {}", swept.error().message);

    const bool earlier_start = site_.job.restart_count > 0 || site_.job.restart_from || epoch > 1;
    auto life = restore_newest(epoch, signals);
    const bool restored = life.has_value();
    if (!restored) {
        if (life.error().kind != ErrorKind::no_checkpoint || site_.job.restart_from)
            return tl::unexpected(life.error());
        if (earlier_start)
            notices_.add("no checkpoint was taken before the job was interrupted; it starts afresh");
        life = Incarnation::boot(site_, epoch, wanted_);
        if (!life) return tl::unexpected(life.error());
        log::info("booted epoch={} accel={} vcpus={} memory={}", epoch, wanted_.accel, wanted_.vcpus,
                  size_text(wanted_.memory_bytes));
    }
    life_ = std::move(*life);
    if (slurm_) slurm_->guard(life_->vm().pid());
    last_heartbeat_ = last_running_ = Clock::now();
    started_ = restored;
    next_checkpoint_ =
        timer_.begin_life(epoch, Clock::now(), [pid = life_->vm().pid()] { return processor_time(pid); });
    // A restore may take long. What another copy of the job has printed meanwhile is not cut off.
    if (slurm_ && slurm_->take().lease != Lease::State::held) TLC_TRY(confirm_ours(signals));
    TLC_TRY(fence());
    if (restored) prepare_engine();
    TLC_TRY(life_->reconcile_output(restored));
    for (const auto& text : notices_.take())
        fmt::print(stderr, "tlc-run: {}\n", text);
    return {};
}

} // namespace tlc
