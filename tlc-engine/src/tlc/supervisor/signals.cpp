// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/supervisor/signals.hpp>

#include <sys/resource.h>
#include <sys/signalfd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <poll.h>
#include <unistd.h>

namespace tlc {

Result<SignalQueue> SignalQueue::open() {
    sigset_t taken;
    sigemptyset(&taken);
    for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD})
        sigaddset(&taken, number);
    if (::sigprocmask(SIG_BLOCK, &taken, nullptr) != 0) return fail_errno(errno, "sigprocmask");
    std::signal(SIGPIPE, SIG_IGN);
    Fd fd(::signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!fd) return fail_errno(errno, "signalfd");
    return SignalQueue(std::move(fd));
}

std::optional<int> SignalQueue::take() {
    signalfd_siginfo info{};
    if (::read(fd_.get(), &info, sizeof info) != sizeof info) return std::nullopt;
    return static_cast<int>(info.ssi_signo);
}

Status SignalQueue::sleep(std::chrono::milliseconds time) {
    using Clock = std::chrono::steady_clock;
    for (const auto end = Clock::now() + time; Clock::now() < end;) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now());
        pollfd wanted{fd_.get(), POLLIN, 0};
        ::poll(&wanted, 1, static_cast<int>(std::min<int64_t>(left.count(), 1000)));
        while (const auto number = take())
            if (*number == SIGTERM || *number == SIGINT)
                return fail("signal {} came before the job could go on; its checkpoints are as they were",
                            *number);
    }
    return {};
}

void die_by(int signal_number) {
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    std::signal(signal_number, SIG_DFL);
    sigset_t all;
    sigfillset(&all);
    ::sigprocmask(SIG_UNBLOCK, &all, nullptr);
    ::raise(signal_number);
    ::_exit(128 + signal_number);
}

} // namespace tlc
