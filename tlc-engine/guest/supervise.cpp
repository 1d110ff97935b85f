// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/files.hpp>

#include <guest/clock.hpp>
#include <guest/commands.hpp>
#include <guest/events.hpp>
#include <guest/pump.hpp>
#include <guest/supervise.hpp>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <list>
#include <poll.h>
#include <unistd.h>

namespace tlc::guest {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto heartbeat_interval = 10s;
constexpr auto clock_interval = 2s;
constexpr auto natural_end = 3s; // for `> >(tee log)` and the like
constexpr auto after_term = 2s;
constexpr auto after_kill = 30s; // a process stuck in the kernel

class Supervisor {
  public:
    Supervisor(StartedJob job, Ports& ports) : pid_(job.pid), ports_(ports) {
        pumps_.emplace_back(std::move(job.out), ports.out.get());
        if (job.err) pumps_.emplace_back(std::move(job.err), ports.err.get());
        sigset_t child;
        sigemptyset(&child);
        sigaddset(&child, SIGCHLD);
        child_signals_.reset(::signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK));
    }

    int run() {
        while (!done()) {
            wait_for_events();
            reap();
            keep_time();
            end_leftovers();
        }
        return status_;
    }

  private:
    enum class Phase { running, ending, terminating, killing, abandoned };

    bool output_finished() const {
        for (const auto& pump : pumps_)
            if (!pump.finished()) return false;
        return true;
    }
    bool done() const {
        return phase_ != Phase::running && output_finished() &&
               (no_process_left_ || phase_ == Phase::abandoned);
    }

    void wait_for_events() {
        std::vector<pollfd> fds{{child_signals_.get(), POLLIN, 0},
                                {command_ready_ <= Clock::now() ? ports_.command.get() : -1, POLLIN, 0}};
        for (const auto& pump : pumps_) {
            fds.push_back({pump.read_fd(), POLLIN, 0});
            fds.push_back({stalled_until_ <= Clock::now() ? pump.write_fd() : -1, POLLOUT, 0});
        }
        const bool paused = command_ready_ > Clock::now() || stalled_until_ > Clock::now();
        const int timeout = phase_ != Phase::running || paused ? 100 : 1000;
        if (::poll(fds.data(), fds.size(), timeout) < 0) return;
        if (fds[1].revents) read_commands(fds[1].revents);
        size_t next = 2;
        for (auto& pump : pumps_) {
            if (fds[next].revents) pump.read_some();
            const short writable = fds[next + 1].revents;
            next += 2;
            // A port without a host end reports that at once, again and again.
            if (writable && !(writable & POLLOUT)) stalled_until_ = Clock::now() + 100ms;
            if (stalled_until_ <= Clock::now()) pump.write_some();
        }
    }

    void read_commands(short events) {
        char bytes[4096];
        const ssize_t n = ::read(ports_.command.get(), bytes, sizeof bytes);
        if (n > 0) {
            for (const auto& command : commands_.feed({bytes, static_cast<size_t>(n)}))
                deliver(command);
        } else if (n == 0 || (events & (POLLHUP | POLLERR))) {
            commands_.reset();
            command_ready_ = Clock::now() + 500ms;
        }
    }

    void deliver(const SignalCommand& command) {
        if (phase_ == Phase::running && command.script_only) (void)::kill(pid_, command.number);
        if (command.script_only) return;
        std::error_code gone;
        for (const auto& entry : std::filesystem::directory_iterator("/proc", gone)) {
            const pid_t pid = static_cast<pid_t>(std::strtol(entry.path().filename().c_str(), nullptr, 10));
            if (pid > 1 && ::getsid(pid) == pid_) (void)::kill(pid, command.number);
        }
    }

    void reap() {
        signalfd_siginfo drop;
        while (::read(child_signals_.get(), &drop, sizeof drop) > 0) {
        }
        for (;;) {
            int status = 0;
            const pid_t pid = ::waitpid(-1, &status, WNOHANG);
            if (pid == pid_ && phase_ == Phase::running) {
                status_ = status;
                enter(Phase::ending);
            }
            if (pid <= 0) {
                // Whoever loses its parent becomes our child: without children no process is left.
                no_process_left_ = pid < 0 && errno == ECHILD;
                return;
            }
        }
    }

    void keep_time() {
        const auto now = Clock::now();
        if (now >= next_clock_) {
            next_clock_ = now + clock_interval;
            if (follow_host_clock()) reseed_random();
        }
        if (now >= next_heartbeat_) {
            next_heartbeat_ = now + heartbeat_interval;
            tell_host(ports_,
                      heartbeat_event(std::chrono::duration_cast<std::chrono::seconds>(now - began_)));
        }
    }

    void enter(Phase phase) {
        phase_ = phase;
        phase_began_ = Clock::now();
    }

    void end_leftovers() {
        if (phase_ == Phase::running || phase_ == Phase::abandoned || no_process_left_) return;
        const auto spent = Clock::now() - phase_began_;
        if (phase_ == Phase::ending && spent >= natural_end) {
            (void)::kill(-1, SIGTERM);
            (void)::kill(-1, SIGCONT);
            enter(Phase::terminating);
        } else if (phase_ == Phase::terminating && spent >= after_term) {
            (void)::kill(-1, SIGKILL);
            enter(Phase::killing);
        } else if (phase_ == Phase::killing && spent >= after_kill) {
            for (auto& pump : pumps_)
                pump.end_source_when_empty();
            for (auto& pump : pumps_)
                pump.read_some();
            enter(Phase::abandoned);
        } else if (phase_ == Phase::killing) {
            (void)::kill(-1, SIGKILL); // whoever was being made meanwhile
        }
    }

    pid_t pid_;
    Ports& ports_;
    std::list<Pump> pumps_;
    CommandReader commands_;
    Fd child_signals_;
    Phase phase_ = Phase::running;
    bool no_process_left_ = false;
    int status_ = 0;
    Clock::time_point began_ = Clock::now(), phase_began_ = began_, next_clock_ = began_,
                      next_heartbeat_ = began_ + heartbeat_interval, command_ready_ = began_,
                      stalled_until_ = began_;
};

} // namespace

int supervise(StartedJob job, Ports& ports) { return Supervisor(std::move(job), ports).run(); }

void tell_host(const Ports& ports, const std::string& line) {
    if (ports.control) (void)write_all(ports.control.get(), std::as_bytes(std::span(line)));
}

} // namespace tlc::guest
