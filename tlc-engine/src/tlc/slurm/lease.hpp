// SPDX-License-Identifier: GPL-2.0-or-later
// Whether this copy of a job may compute. A node that slurmctld has not heard of for SlurmdTimeout is DOWN,
// and its jobs are begun elsewhere, while on a node that is only cut off they go on. So a copy that has been
// without contact for a part of that time must stand still, until slurmctld says that the job is still its
// own. Pure: time comes in with the calls. Not thread-safe.
#pragma once

#include <tlc/slurm/job_state.hpp>

#include <chrono>

namespace tlc {

class Lease {
  public:
    using Clock = std::chrono::steady_clock;
    enum class State {
        held,
        lost, // no contact for too long: nobody knows whose the job is
        over, // it is another copy's, for good
    };

    // `restarts`: how often the job had been requeued when this copy began. `limit`: how long it may go on
    // without contact; 0: as long as it likes.
    Lease(unsigned restarts, std::chrono::seconds limit, Clock::time_point now)
        : restarts_(restarts), limit_(limit), contact_(now) {}

    // slurmctld has told of the job, in an answer to a question asked at `asked`.
    void answered(const SlurmJob& job, Clock::time_point asked);
    // It has told nothing, but its machine could be reached after `asked`: one that is slow, or not running,
    // begins no jobs elsewhere. That keeps a lease, and does not bring back a lost one.
    void reached(Clock::time_point asked);
    // Neither, until now.
    void silent(Clock::time_point now);

    State state() const { return state_; }
    Clock::time_point last_contact() const { return contact_; }

  private:
    unsigned restarts_;
    std::chrono::seconds limit_;
    Clock::time_point contact_;
    State state_ = State::held;
};

// How long a copy goes on without contact. slurmctld asks the nodes every third of SlurmdTimeout, so a node
// that is cut off is DOWN after two thirds of it at the earliest.
std::chrono::seconds lease_limit(std::chrono::seconds slurmd_timeout);
// How often to ask, and how long to wait for an answer.
std::chrono::seconds lease_interval(std::chrono::seconds slurmd_timeout);
std::chrono::seconds lease_patience(std::chrono::seconds slurmd_timeout);
// From the moment when slurmctld gives a job to another copy until the one before stands still, wherever it
// is.
std::chrono::seconds longest_lease(std::chrono::seconds slurmd_timeout);

} // namespace tlc
