// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/files.hpp>
#include <tlc/base/log.hpp>
#include <tlc/base/units.hpp>
#include <tlc/supervisor/another_node.hpp>
#include <tlc/supervisor/ending.hpp>
#include <tlc/supervisor/guest_setup.hpp>
#include <tlc/supervisor/local_store.hpp>
#include <tlc/supervisor/supervisor.hpp>

#include <csignal>
#include <poll.h>

namespace tlc {
namespace {

constexpr auto tick = std::chrono::milliseconds(100);
// The guest powers off after its last line.
constexpr auto power_off_limit = std::chrono::seconds(90);
// For the last word of an engine whose QEMU has ended: it may still check the disk.
constexpr auto filler_limit = std::chrono::minutes(10);

} // namespace

Result<JobEnd> Supervisor::run(SignalQueue& signals) {
    auto end = supervise(signals);
    if (slurm_) slurm_->guard(-1);
    engine_.reset();
    life_.reset();
    status_.end();
    // Whoever continues the job need not wait.
    for (const uint64_t epoch : epochs_)
        if (auto closed = site_.directory.close_epoch(epoch); !closed)
            log::debug("{}", closed.error().message);
    return end;
}

Result<JobEnd> Supervisor::supervise(SignalQueue& signals) {
    TLC_TRY(begin(signals));
    for (;;) {
        const auto& speaker = life_->filler() ? life_->filler() : engine_;
        pollfd wanted[3] = {{signals.fd(), POLLIN, 0},
                            {speaker ? speaker->event_fd() : -1, POLLIN, 0},
                            {slurm_ ? slurm_->event_fd() : -1, POLLIN, 0}};
        ::poll(wanted, 3, static_cast<int>(tick.count()));
        TLC_TRY(handle_signals(signals));
        if (slurm_) TLC_TRY(follow_slurm());
        tell_status();
        if (suspended_) continue;
        TLC_TRY(follow_guest());
        if (leaving_) TLC_TRY(follow_leaving(false));
        watch_vm();
        merge_.follow(life_->vm().qmp(), life_->live());
        if (life_->filler()) follow_filler();
        if (engine_) TLC_TRY(follow_engine());
        if (levels_.carries()) TLC_TRY(follow_carrier());
        if (const auto status = life_->vm().poll()) {
            TLC_TRY(follow_guest());
            if (leaving_) TLC_TRY(follow_leaving(true));
            if (life_->filler()) take_filling(life_->filler()->wait(filler_limit));
            // QEMU ends with 0 when the guest powers off, be its memory complete or not.
            if (memory_lost_ &&
                (status->signalled || status->code != 0 || levels_.damage_of(restored_) != nullptr))
                end_.reset();
            if (end_ && disk_is_whole()) return finish(signals);
            end_.reset();
            TLC_TRY(handle_vm_end(*status, signals));
        } else if (end_ && Clock::now() - end_seen_ > power_off_limit) {
            log::warning("the guest did not power off; it is stopped");
            life_->vm().kill();
            if (!life_->filler() && disk_is_whole()) return finish(signals);
            // It may have waited for memory, and what it has written is not all on its disk.
            if (life_->filler()) take_filling(fail("the guest did not power off"));
            end_.reset();
            TLC_TRY(handle_vm_end(ExitStatus{true, SIGKILL}, signals));
        }
        const bool due = Clock::now() >= next_checkpoint_;
        if (due && started_ && !end_ && !taking_ && !leaving_ && !told_of_time_limit_ && !life_->filler() &&
            !merge_.holds_up_checkpoint())
            start_checkpoint();
    }
}

Status Supervisor::begin(SignalQueue& signals) {
    tell_status();
    TLC_TRY(watch_slurm(signals));
    become_requeueable();
    TLC_TRY(await_earlier_copy(signals));
    auto begun = begin_life(signals);
    const bool again = site_.job.restart_count > 0 || site_.job.restart_from;
    if (!begun && slurm_ && again && begun.error().kind == ErrorKind::incompatible)
        return tl::unexpected(continue_on_another_node(site_.job, site_.directory.path(), begun.error()));
    return begun;
}

Status Supervisor::follow_carrier() {
    TLC_TRY_ASSIGN(took, levels_.follow());
    if (!took) return {};
    timer_.carried(*took);
    status_.newest_changed();
    return {};
}

const char* Supervisor::state() const {
    if (suspended_) return "suspended";
    if (!life_) return "starting";
    if (disk_waits_) return disk_failures_ > 0 ? "disk fails" : "disk full";
    if (leaving_) return "leaving";
    if (life_->filler()) return "filling";
    return started_ ? "running" : "starting";
}

void Supervisor::tell_status() {
    status_.tell({state(), suspended_, life_ ? life_->epoch() : 0, timer_.interval(), next_checkpoint_});
}

Status Supervisor::follow_guest() {
    if (auto pumped = life_->pump_output(); !pumped) log::warning("{}", pumped.error().message);
    TLC_TRY_ASSIGN(events, life_->poll_events());
    if (!events.empty()) last_heartbeat_ = Clock::now();
    for (const auto& event : events) {
        switch (event.kind) {
        case GuestEvent::Kind::started:
            if (!started_) next_checkpoint_ = timer_.begin(Clock::now());
            started_ = true;
            prepare_engine();
            break;
        case GuestEvent::Kind::exited:
            if (!end_) log::info("script ended {}={}", event.signalled ? "signal" : "code", event.code);
            end_ = JobEnd{event.signalled, event.code};
            end_seen_ = Clock::now();
            break;
        case GuestEvent::Kind::failed:
            return fail("the guest could not run the job: {}", event.message);
        case GuestEvent::Kind::booted:
        case GuestEvent::Kind::heartbeat:
            break;
        }
    }
    return {};
}

Status Supervisor::handle_signals(SignalQueue& signals) {
    while (const auto number = signals.take()) {
        if (*number == SIGCHLD) continue;
        log::info("signal {} arrived", *number);
        if (*number == SIGTERM || *number == SIGINT) {
            if (suspended_)
                return fail("signal {} came while the VM stood still without contact with slurmctld",
                            *number);
            if (leaving_ && !leaving_->by_notice) continue;
            if (asked_to_end_ && !site_.job.under_slurm)
                return fail("interrupted; {}", how_to_continue(site_.job, site_.directory.path()));
            asked_to_end_ = true;
            if (site_.job.under_slurm && !told_of_time_limit_ && begin_leaving(Clock::now())) continue;
        }
        // It may tell of a preemption.
        if (slurm_) slurm_->look();
        const auto sent =
            life_->vm().send_command(nlohmann::json{{"command", "signal"}, {"number", *number}}.dump());
        if (!sent) log::warning("signal {} did not reach the job: {}", *number, sent.error().message);
    }
    return {};
}

// A restored VM is complete, or will never be. Then the VM is lost: QEMU ends, unless it waits itself
// for a page that does not come.
void Supervisor::follow_filler() {
    const auto answer = life_->filler()->poll();
    if (!answer) return;
    take_filling(*answer);
    if (!*answer) life_->vm().terminate();
}

void Supervisor::take_filling(const Result<nlohmann::json>& answer) {
    life_->filler().reset();
    if (answer) {
        log::info("memory complete latency_ms={:.0f} faults={}", answer->value("latency_ms", 0.0),
                  answer->value("faults", uint64_t{0}));
        prepare_engine();
        return;
    }
    memory_lost_ = true;
    // A guest that powers off takes QEMU with it.
    if (end_)
        log::info("the VM ended before it was complete: {}", answer.error().message);
    else
        log::error("the VM cannot go on, its memory or disk is not complete: {}", answer.error().message);
    if (answer.error().kind == ErrorKind::damaged) levels_.is_damaged(restored_, answer.error());
}

Status Supervisor::handle_vm_end(const ExitStatus& status, SignalQueue& signals) {
    log::warning("QEMU ended unexpectedly: {}; the job continues from its last checkpoint", status.text());
    if (taking_) abandon_checkpoint(Error{ErrorKind::failed, "the VM ended meanwhile"});
    // A copy that is not the job's any more must not take an epoch from the one that is.
    TLC_TRY(still_ours(signals));
    return begin_life(signals);
}

Result<JobEnd> Supervisor::finish(SignalQueue& signals) {
    // The checkpoints, and what comes back, are a newer run's if there is one.
    TLC_TRY(still_ours(signals));
    if (taking_) abandon_checkpoint(Error{ErrorKind::failed, "the job ended meanwhile"});
    engine_.reset();
    levels_.stop_carrying();
    const auto printed = life_->finish_output();
    if (auto staged = stage_out(site_.job, life_->live()); !staged)
        return in_context(
            staged.error(),
            fmt::format("the job's files could not be copied back; they are kept on the work disk in {}",
                        life_->live().string()));
    if (!printed)
        return in_context(printed.error(), fmt::format("the job's output is not whole; all of it is in {}",
                                                       life_->live().string()));
    // That may have taken minutes.
    TLC_TRY(still_ours(signals));
    const JobResult result{
        end_->signalled,         end_->code, utc_text(std::chrono::system_clock::now()), site_.job.name(),
        site_.job.restart_count, false};
    TLC_TRY(begin_ending(site_.directory, life_->live(), result));
    // What a job that ended well has left is only its memory; a failed one may be worth another look.
    const bool well = !end_->signalled && end_->code == 0 && !asked_to_end_;
    if (well) {
        TLC_TRY_ASSIGN(checkpoints, levels_.all());
        for (auto oldest = checkpoints.rbegin(); oldest != checkpoints.rend(); ++oldest)
            if (auto removed = levels_.discard(oldest->sequence); !removed)
                log::warning("{}", removed.error().message);
    }
    if (auto removed = site_.disk.remove(life_->live()); !removed)
        log::warning("{}", removed.error().message);
    if (auto removed = well ? remove_store(site_.directory, site_.store) : Status{}; !removed)
        log::warning("{}", removed.error().message);
    if (auto completed = complete_ending(site_.job, site_.directory, result); !completed)
        log::warning("{}", completed.error().message);
    return *end_;
}

} // namespace tlc
