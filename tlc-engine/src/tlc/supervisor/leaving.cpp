// SPDX-License-Identifier: GPL-2.0-or-later
// The job has to leave the node: Slurm has sent TERM, with KILL to come after KillWait, or is seen to preempt
// the job or to let it run out of time. Until then there is time for a last checkpoint. TERM does not say why
// it comes. Only a job that is over for good is told; one that will be requeued shall continue from its
// checkpoint as if nothing had been.
#include <tlc/base/log.hpp>
#include <tlc/base/units.hpp>
#include <tlc/slurm/command.hpp>
#include <tlc/supervisor/supervisor.hpp>

#include <algorithm>
#include <csignal>

namespace tlc {

// TERM has come at `since`. False if the job shall simply get the signal.
bool Supervisor::begin_leaving(Clock::time_point since) {
    const auto job = ask_slurm_job(site_.job.id, std::chrono::seconds(5));
    if (job)
        log::info("Slurm's state of the job: {} ({})", job->state, job->reason);
    else
        log::warning("slurmctld does not say what happens to the job: {}", job.error().message);
    const Fate fate = job ? fate_of(*job, site_.job.restart_count) : Fate::requeued;
    if (fate == Fate::told) {
        leaving_.reset();
        return false;
    }
    const std::chrono::milliseconds wait = slurm_->settings().kill_wait;
    // A script out of time may have something to do on TERM.
    const auto share = fate == Fate::requeued || site_.job.request.continues
                           ? wait - std::min<std::chrono::milliseconds>(wait / 4, std::chrono::seconds(2))
                           : wait / 2;
    if (!leaving_) leaving_ = Leaving{.fate = fate, .deadline = {}, .published_before = published_};
    leaving_->fate = fate;
    leaving_->deadline = since + share;
    leaving_->by_notice = false;
    log::info("Slurm ends the job here; time for a last checkpoint: {}", duration_text(share));
    return true;
}

bool Supervisor::last_checkpoint_fits() const {
    const auto usual = next_is_full_ || !engine_ ? latency_of_full_ : latency_of_further_;
    const auto left = leaving_->deadline - Clock::now();
    if (!usual || *usual <= left) return true;
    log::warning("no last checkpoint is taken: the ones before took {}", duration_text(*usual));
    return false;
}

// An error ends the run. Whatever became of the checkpoint, the job loses no more than without it.
Status Supervisor::follow_leaving(bool vm_ended) {
    if (vm_ended || end_ || Clock::now() >= leaving_->deadline) return leave();
    merge_.cancel(life_->vm().qmp());
    // The one under way is of before.
    if (taking_ || merge_.holds_up_checkpoint()) return {};
    // There is time until the memory is complete.
    if (leaving_->by_notice && (!started_ || life_->filler())) return {};
    if (!std::exchange(leaving_->tried, true) && started_ && !life_->filler() && last_checkpoint_fits()) {
        start_checkpoint();
        if (taking_) return {};
    }
    return levels_.carries() ? Status{} : leave();
}

Status Supervisor::leave() {
    const Leaving leaving = *std::exchange(leaving_, std::nullopt);
    const bool taken = published_ != leaving.published_before;
    const bool limit = leaving.fate == Fate::timed_out;
    // The script has ended by itself before Slurm has decided anything.
    if (leaving.by_notice && end_) return {};
    if (limit ? site_.job.request.continues && has_progressed() : leaving.by_notice && taken) {
        const auto requeued =
            run_slurm({"scontrol", "requeue", site_.job.slurm_name}, std::chrono::seconds(10));
        if (requeued)
            return fail("the job {}; it is requeued and will continue from its latest checkpoint",
                        limit ? "has reached its time limit" : "is preempted");
        log::warning("Slurm does not requeue the job: {}", requeued.error().message);
    }
    // TERM is still to come.
    if (leaving.by_notice) return {};
    // Also where the script has ended meanwhile: Slurm will start the job again, come what may, and it shall
    // not find its checkpoints removed.
    if (!limit) return fail("the job is being requeued and will continue from its latest checkpoint");
    if (taking_) abandon_checkpoint(Error{ErrorKind::failed, "the job's time is over"});
    told_of_time_limit_ = true;
    if (end_) return {};
    const auto all = levels_.all();
    const bool any = all && std::any_of(all->begin(), all->end(), [](const auto& c) { return c.whole(); });
    fmt::print(stderr, "tlc-run: the job has reached its time limit; {}\n",
               any ? how_to_continue(site_.job, site_.directory.path()) : "it has no checkpoint");
    const auto sent =
        life_->vm().send_command(nlohmann::json{{"command", "signal"}, {"number", SIGTERM}}.dump());
    if (!sent) log::warning("TERM did not reach the job: {}", sent.error().message);
    return {};
}

// Whether this start of the job has taken a checkpoint, so that a next one would begin further on.
bool Supervisor::has_progressed() const { return published_.has_value(); }

} // namespace tlc
