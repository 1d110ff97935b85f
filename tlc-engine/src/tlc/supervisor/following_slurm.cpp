// SPDX-License-Identifier: GPL-2.0-or-later
// What slurmctld says while the job runs: whose it is (the lease), that it is preempted, that its time runs
// out.
#include <tlc/base/log.hpp>
#include <tlc/base/units.hpp>
#include <tlc/slurm/command.hpp>
#include <tlc/supervisor/supervisor.hpp>

#include <algorithm>
#include <csignal>
#include <poll.h>

namespace tlc {
namespace {

constexpr std::chrono::seconds patience{10};

// A rate that any storage worth a checkpoint reaches, for jobs that have none yet.
constexpr uint64_t assumed_bytes_per_second = uint64_t{200} << 20;

} // namespace

// Nothing is begun before slurmctld has told its settings: without them a copy of the job on a node that is
// cut off would not stop by itself.
Status Supervisor::watch_slurm(SignalQueue& signals) {
    if (!site_.job.under_slurm) return {};
    auto settings = ask_slurm_settings(patience);
    for (bool told = false; !settings && settings.error().kind != ErrorKind::incompatible; told = true) {
        if (!told) log::warning("waiting for slurmctld to tell its settings: {}", settings.error().message);
        TLC_TRY(signals.sleep(std::chrono::seconds(2)));
        settings = ask_slurm_settings(patience);
    }
    if (!settings) {
        log::warning("a copy of the job on a node that is cut off will not stop by itself: {}",
                     settings.error().message);
        settings = SlurmSettings{};
        settings->slurmd_timeout = std::chrono::seconds(0);
    }
    slurm_ = std::make_unique<SlurmWatch>(site_.job.id, site_.job.slurm_name, site_.job.restart_count,
                                          std::move(*settings));
    return {};
}

// Where jobs are not requeued unless they ask for it (JobRequeue=0), this one asks: checkpoints are taken to
// go on from. Later the owner may have changed his mind.
void Supervisor::become_requeueable() const {
    if (!slurm_ || !site_.job.request.requeues || site_.job.restart_count > 0) return;
    const auto job = ask_slurm_job(site_.job.id, patience);
    if (!job || job->requeue) return;
    if (auto asked =
            run_slurm({"scontrol", "update", "jobid=" + site_.job.slurm_name, "requeue=1"}, patience);
        !asked)
        log::warning("Slurm will not start the job again when its node dies or it is preempted: {}",
                     asked.error().message);
    else
        log::info(
            "Slurm may requeue the job now, which this cluster does not allow by itself (JobRequeue=0)");
}

// The copy before this one may still run where slurmctld cannot reach it: an administrator has set the node
// DOWN, say. It stops when its lease is lost, and what it does until then shall not be done twice.
Status Supervisor::await_earlier_copy(SignalQueue& signals) {
    if (!slurm_ || site_.job.restart_count == 0) return {};
    TLC_TRY_ASSIGN(earlier, site_.directory.newest_epoch());
    TLC_TRY_ASSIGN(closed, site_.directory.epoch_closed(earlier));
    if (earlier == 0 || closed) return {};
    const auto longest = longest_lease(slurm_->settings().slurmd_timeout);
    auto wait = std::chrono::duration_cast<std::chrono::milliseconds>(longest);
    const auto job = ask_slurm_job(site_.job.id, patience);
    const auto now = std::chrono::system_clock::now();
    // Slurm calls the time of the requeue that of the submission.
    if (job && job->submitted && *job->submitted <= now)
        wait = std::chrono::duration_cast<std::chrono::milliseconds>(*job->submitted + longest - now);
    if (wait.count() <= 0) return {};
    log::info("waiting {}: until then an earlier copy of the job may compute on a node that is cut off",
              duration_text(wait));
    return signals.sleep(wait);
}

// A job that begins again and again without ever getting to a checkpoint needs somebody's attention.
Status Supervisor::check_progress(uint64_t epoch) const {
    if (!slurm_ || site_.job.restart_count == 0) return {};
    TLC_TRY_ASSIGN(checkpoints, levels_.all());
    uint64_t newest = 0;
    for (const auto& checkpoint : checkpoints)
        if (checkpoint.manifest) newest = std::max(newest, checkpoint.manifest->epoch);
    // Somebody has looked at it since, and let it go on.
    TLC_TRY_ASSIGN(held_before, site_.directory.newest_held_epoch());
    newest = std::max(newest, held_before);
    if (epoch <= newest + most_lives_without_progress + 1) return {};
    TLC_TRY(site_.directory.hold_epoch(epoch));
    const auto why = fmt::format("started {} times without a new checkpoint; see {}", epoch - newest - 1,
                                 site_.directory.log_file().string());
    if (const auto job = ask_slurm_job(site_.job.id, std::chrono::seconds(10)))
        (void)set_slurm_comment(site_.job.slurm_name, job->comment, "held: " + why, std::chrono::seconds(10));
    const auto held = run_slurm({"scontrol", "requeuehold", site_.job.slurm_name}, std::chrono::seconds(10));
    return fail("the job was {}{}", why,
                held ? "; it is held until scontrol release"
                     : "; Slurm does not hold it: " + held.error().message);
}

// Before something that cannot be undone: only slurmctld knows whether the job is still this copy's, so
// nothing is done until it has said so. An Error if it is not, or is to be another's.
Status Supervisor::confirm_ours(SignalQueue& signals) {
    // Where its settings could not be had, as its commands are missing on this node, nobody can be asked;
    // that was told at the start.
    if (!slurm_ || slurm_->settings().controllers.empty()) return {};
    const auto each = lease_patience(slurm_->settings().slurmd_timeout);
    for (bool told = false;; told = true) {
        const auto job = ask_slurm_job(site_.job.id, each);
        if (job && is_replaced(*job, site_.job.restart_count))
            return fail(ErrorKind::busy, "Slurm has begun another copy of the job; this one stops");
        if (job && job->restarts > site_.job.restart_count)
            return fail("the job is being requeued and will continue from its latest checkpoint");
        // One that it has forgotten is not begun elsewhere.
        if (job || job.error().message.find("Invalid job id") != std::string::npos) return {};
        if (!told)
            log::warning("waiting for slurmctld, which alone knows whose the job is: {}",
                         job.error().message);
        TLC_TRY(signals.sleep(std::chrono::seconds(1)));
    }
}

// Nor is there a newer copy that slurmctld does not know: one begun by hand.
Status Supervisor::still_ours(SignalQueue& signals) {
    TLC_TRY(confirm_ours(signals));
    return fence();
}

Status Supervisor::fence() const {
    if (auto owned = site_.directory.fence(life_->epoch()); !owned)
        return in_context(owned.error(), "this copy of the job has been replaced by a newer one and stops");
    return {};
}

// An Error if the job is another copy's.
Status Supervisor::follow_slurm() {
    const auto news = slurm_->take();
    if (news.lease == Lease::State::over)
        return fail(ErrorKind::busy, "Slurm has begun another copy of the job; this one stops");
    // Lost and back again while this thread waited for a disk: the VM stands still all the same.
    const bool stands_still = news.stopped || news.lease == Lease::State::lost;
    if (stands_still && !std::exchange(suspended_, true))
        log::warning(
            "no contact with slurmctld for a while (now {}): the VM stands still, as another copy of the job "
            "may have been begun",
            duration_text(std::chrono::duration_cast<std::chrono::milliseconds>(news.silence)));
    if (news.lease == Lease::State::held && suspended_) {
        TLC_TRY(fence());
        slurm_->resume();
        suspended_ = false;
        last_heartbeat_ = last_running_ = Clock::now();
        log::info("contact with slurmctld again, the job is still this copy's: the VM goes on");
    }
    if (news.job && !suspended_) notice(*news.job);
    return {};
}

// How long before its end the job should be asked for a last checkpoint.
std::chrono::milliseconds Supervisor::notice_needed() const {
    const auto usual = next_is_full_ || !engine_ ? latency_of_full_ : latency_of_further_;
    const std::chrono::milliseconds guess(life_->vm().resident_bytes() * 1000 / assumed_bytes_per_second);
    constexpr std::chrono::seconds least{5};
    const auto latency = std::max<std::chrono::milliseconds>(usual.value_or(guess), least);
    return latency * 3 / 2 + least + 2 * lease_interval(slurm_->settings().slurmd_timeout);
}

void Supervisor::notice(const SlurmJob& job) {
    if (leaving_ || end_ || noticed_ || job.state != "RUNNING") return;
    if (job.preempted) {
        noticed_ = true;
        log::info("Slurm preempts the job; its grace time ends {}",
                  job.ends ? utc_text(*job.ends) : "some time");
        leaving_ = Leaving{.fate = Fate::requeued,
                           .deadline = grace_end(job),
                           .by_notice = true,
                           .published_before = published_};
        return;
    }
    if (!job.ends || std::chrono::system_clock::now() + notice_needed() < *job.ends) return;
    noticed_ = true;
    log::info("the job's time limit comes at {}", utc_text(*job.ends));
    if (site_.job.request.continues)
        leaving_ = Leaving{.fate = Fate::timed_out,
                           .deadline = grace_end(job),
                           .by_notice = true,
                           .published_before = published_};
    else
        next_checkpoint_ = Clock::now();
}

// A little before what Slurm says; a job without an end is asked again by TERM.
Supervisor::Clock::time_point Supervisor::grace_end(const SlurmJob& job) const {
    constexpr std::chrono::seconds margin{2};
    constexpr std::chrono::hours unknown{1};
    if (!job.ends) return Clock::now() + unknown;
    const auto left = *job.ends - std::chrono::system_clock::now();
    return Clock::now() + std::chrono::duration_cast<Clock::duration>(left) - margin;
}

} // namespace tlc
