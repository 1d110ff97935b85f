// SPDX-License-Identifier: GPL-2.0-or-later
// Tells how a job is doing, while it runs: status.json in its directory and, where the site wants them, its
// metrics. What cannot be written is logged once and does not matter further. Not thread-safe.
#pragma once

#include <tlc/supervisor/incarnation.hpp>
#include <tlc/supervisor/job_status.hpp>

#include <chrono>

namespace tlc {

class StatusTeller {
  public:
    using Clock = std::chrono::steady_clock;

    explicit StatusTeller(const JobSite& site);

    // What is so at this moment.
    struct Now {
        const char* state = ""; // one word or two: "running", "disk full"
        bool suspended = false; // the file may be another copy's: it is not written again in the same state
        uint64_t epoch = 0;     // 0: no life yet
        std::chrono::seconds interval{0};
        Clock::time_point next_checkpoint;
    };
    // Writes if the state has changed, a checkpoint has come, or ten seconds are over.
    void tell(const Now& now);
    // What is over must not look as if it went on.
    void end() const;

    void published(double pause_ms);
    void failed() { ++status_.failed; }
    // The newest checkpoint may be another one than before.
    void newest_changed() { newest_changed_ = true; }

  private:
    std::optional<JobStatus::Last> newest_anywhere() const;

    const JobSite& site_;
    JobStatus status_;
    Clock::time_point next_;
    bool newest_changed_ = true;
    bool told_of_failure_ = false;
};

} // namespace tlc
