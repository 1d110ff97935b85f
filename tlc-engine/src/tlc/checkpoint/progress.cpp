// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/units.hpp>
#include <tlc/checkpoint/progress.hpp>

#include <chrono>
#include <unistd.h>

namespace tlc {

Progress::Progress(std::string what, uint64_t total, std::function<uint64_t()> done)
    : what_(std::move(what)), total_(total) {
    if (::isatty(STDERR_FILENO) == 0) return;
    thread_ = std::thread([this, done = std::move(done)] { show(done); });
}

Progress::~Progress() {
    stop_ = true;
    if (!thread_.joinable()) return;
    thread_.join();
    fmt::print(stderr, "\r\033[K");
}

void Progress::show(const std::function<uint64_t()>& done) {
    const auto began = std::chrono::steady_clock::now();
    for (unsigned tick = 0; !stop_; ++tick) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        if (tick % 10 != 9) continue;
        const uint64_t bytes = done();
        const double seconds =
            std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
        const double rate = static_cast<double>(bytes) / seconds;
        const double left = rate > 0 ? static_cast<double>(total_ - bytes) / rate : 0;
        fmt::print(stderr, "\r\033[K{}: {} of {}, {}/s, {:.0f} s left", what_, size_text(bytes),
                   size_text(total_), size_text(static_cast<uint64_t>(rate)), left);
    }
}

} // namespace tlc
