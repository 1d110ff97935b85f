// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/log.hpp>
#include <tlc/slurm/watch.hpp>

#include <sys/eventfd.h>
// glibc 2.36 forgets it.
extern "C" {
#include <sys/pidfd.h>
}

#include <algorithm>
#include <csignal>
#include <unistd.h>

namespace tlc {
namespace {

constexpr std::chrono::seconds between_comments{20};

} // namespace

SlurmWatch::SlurmWatch(std::string job_id, std::string job_name, unsigned restarts, SlurmSettings settings)
    : job_id_(std::move(job_id)), job_name_(std::move(job_name)), settings_(std::move(settings)),
      event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      lease_(restarts, lease_limit(settings_.slurmd_timeout), Clock::now()), thread_([this] { work(); }) {}

SlurmWatch::~SlurmWatch() {
    {
        const std::lock_guard lock(mutex_);
        ends_ = true;
    }
    wake_.notify_all();
    thread_.join();
}

SlurmWatch::News SlurmWatch::take() {
    uint64_t ignored = 0;
    [[maybe_unused]] const ssize_t n = ::read(event_.get(), &ignored, sizeof ignored);
    const std::lock_guard lock(mutex_);
    return {job_, lease_.state(), stopped_, Clock::now() - lease_.last_contact()};
}

void SlurmWatch::guard(pid_t process) {
    const std::lock_guard lock(mutex_);
    process_ = process > 0 ? Fd(::pidfd_open(process, 0)) : Fd();
    stopped_ = false;
    apply();
}

void SlurmWatch::resume() {
    const std::lock_guard lock(mutex_);
    if (!stopped_ || lease_.state() != Lease::State::held) return;
    stopped_ = false;
    if (process_) ::pidfd_send_signal(process_.get(), SIGCONT, nullptr, 0);
}

void SlurmWatch::look() {
    {
        const std::lock_guard lock(mutex_);
        look_ = true;
    }
    wake_.notify_all();
}

void SlurmWatch::comment(std::string text) {
    const std::lock_guard lock(mutex_);
    comment_ = std::move(text);
}

// With the mutex held. Again each time: "scontrol resume" continues whatever is stopped.
void SlurmWatch::apply() {
    if (!process_) return;
    if (lease_.state() == Lease::State::over) {
        ::pidfd_send_signal(process_.get(), SIGKILL, nullptr, 0);
    } else if (lease_.state() == Lease::State::lost || stopped_) {
        ::pidfd_send_signal(process_.get(), SIGSTOP, nullptr, 0);
        stopped_ = true;
    }
}

void SlurmWatch::work() {
    const Controllers controllers(settings_);
    const auto interval = lease_interval(settings_.slurmd_timeout);
    for (;;) {
        const auto asked = Clock::now();
        auto job = ask_slurm_job(job_id_, lease_patience(settings_.slurmd_timeout));
        const bool reached = !job && controllers.reachable(std::chrono::seconds(1));
        {
            std::unique_lock lock(mutex_);
            const auto before = lease_.state();
            const bool news = job && job_ != *job;
            if (job) {
                lease_.answered(*job, asked);
                job_ = std::move(*job);
            } else if (reached) {
                lease_.reached(asked);
            }
            lease_.silent(Clock::now());
            apply();
            if (news || lease_.state() != before) {
                const uint64_t one = 1;
                [[maybe_unused]] const ssize_t n = ::write(event_.get(), &one, sizeof one);
            }
            // The end of the lease is not slept through.
            auto next = asked + interval;
            if (const auto limit = lease_limit(settings_.slurmd_timeout); limit.count() > 0)
                next = std::min(
                    next, std::max(lease_.last_contact() + limit, Clock::now() + std::chrono::seconds(1)));
            wake_.wait_until(lock, next, [this] { return ends_ || look_; });
            if (ends_) return;
            look_ = false;
        }
        send_comment();
    }
}

void SlurmWatch::send_comment() {
    std::string old, text;
    {
        const std::lock_guard lock(mutex_);
        if (!comment_ || !job_ || lease_.state() != Lease::State::held || Clock::now() < next_comment_)
            return;
        old = job_->comment;
        text = *std::exchange(comment_, std::nullopt);
        next_comment_ = Clock::now() + between_comments;
    }
    const auto done = set_slurm_comment(job_name_, old, text, lease_patience(settings_.slurmd_timeout));
    if (!done) log::debug("the job's comment stays: {}", done.error().message);
}

} // namespace tlc
