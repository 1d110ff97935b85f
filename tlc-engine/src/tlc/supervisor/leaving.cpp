// SPDX-License-Identifier: GPL-2.0-or-later
// TERM from Slurm, with KILL to come after KillWait. It does not say why. Only a job that is over for good is
// told; one that will be requeued shall continue from its checkpoint as if nothing had been. Until KILL there
// is time for a last checkpoint.
#include <tlc/base/log.hpp>
#include <tlc/base/units.hpp>
#include <tlc/supervisor/supervisor.hpp>

#include <algorithm>
#include <csignal>

namespace tlc {

// False if the job shall simply get the signal.
bool Supervisor::begin_leaving(Clock::time_point since) {
    const Fate fate = fate_of(site_.job);
    if (fate == Fate::told) return false;
    const std::chrono::milliseconds wait = kill_wait();
    // A script out of time may have something to do on TERM.
    const auto share = fate == Fate::requeued
                           ? wait - std::min<std::chrono::milliseconds>(wait / 4, std::chrono::seconds(2))
                           : wait / 2;
    leaving_ = {fate, since + share};
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
    if (!std::exchange(leaving_->tried, true) && started_ && !life_->filler() && last_checkpoint_fits()) {
        start_checkpoint();
        if (taking_) return {};
    }
    return carrier_ ? Status{} : leave();
}

Status Supervisor::leave() {
    const Fate fate = std::exchange(leaving_, std::nullopt)->fate;
    // Also where the script has ended meanwhile: Slurm will start the job again, come what may, and it shall
    // not find its checkpoints removed.
    if (fate == Fate::requeued)
        return fail("the job is being requeued and will continue from its latest checkpoint");
    if (taking_) abandon_checkpoint(Error{ErrorKind::failed, "the job's time is over"});
    told_of_time_limit_ = true;
    if (end_) return {};
    const auto all = all_checkpoints();
    const bool any = all && std::any_of(all->begin(), all->end(), [](const auto& c) { return c.whole(); });
    fmt::print(stderr, "tlc-run: the job has reached its time limit; {}\n",
               any ? how_to_continue(site_.job, site_.directory.path()) : "it has no checkpoint");
    const auto sent =
        life_->vm().send_command(nlohmann::json{{"command", "signal"}, {"number", SIGTERM}}.dump());
    if (!sent) log::warning("TERM did not reach the job: {}", sent.error().message);
    return {};
}

} // namespace tlc
