// SPDX-License-Identifier: GPL-2.0-or-later
// A thread that keeps asking slurmctld about one job and keeps its lease. It alone, without the help of the
// thread that made it (which may hang on a dead file system), stops the VM when the lease is lost, and ends
// it when the lease is over. Thread-safe.
#pragma once

#include <tlc/base/fd.hpp>
#include <tlc/slurm/lease.hpp>
#include <tlc/slurm/settings.hpp>

#include <sys/types.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace tlc {

class SlurmWatch {
  public:
    using Clock = Lease::Clock;

    // Prerequisite: the signals that the process takes as events are blocked. `job_name`: what scontrol is
    // told.
    SlurmWatch(std::string job_id, std::string job_name, unsigned restarts, SlurmSettings settings);
    ~SlurmWatch();
    SlurmWatch(const SlurmWatch&) = delete;
    SlurmWatch& operator=(const SlurmWatch&) = delete;

    const SlurmSettings& settings() const { return settings_; }
    // Readable when there is news; take() makes it quiet.
    int event_fd() const { return event_.get(); }

    struct News {
        std::optional<SlurmJob> job; // the last answer; nothing: there was none yet
        Lease::State lease = Lease::State::held;
        bool stopped = false; // the VM stands still until resume()
        Clock::duration silence{};
    };
    News take();

    // This process, a child that is not reaped yet, is stopped (SIGSTOP) while the lease is lost and ended
    // (SIGKILL) when it is over: at once if it is so already. -1: none any more.
    void guard(pid_t process);
    // Lets a stopped process go on, if the lease is held.
    void resume();
    // Asks slurmctld now and not only in its turn.
    void look();
    // Puts a text into the job's comment, behind what the user wrote there; the newest only, some seconds
    // apart.
    void comment(std::string text);

  private:
    void work();
    void apply();
    void send_comment();

    const std::string job_id_;
    const std::string job_name_;
    const SlurmSettings settings_;
    Fd event_;

    std::mutex mutex_;
    std::condition_variable wake_;
    bool ends_ = false;
    bool look_ = false;
    Lease lease_;
    std::optional<SlurmJob> job_;
    Fd process_;           // pidfd
    bool stopped_ = false; // by us
    std::optional<std::string> comment_;
    Clock::time_point next_comment_;
    std::thread thread_;
};

} // namespace tlc
