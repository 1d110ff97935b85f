// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/log.hpp>
#include <tlc/base/log_line.hpp>
#include <tlc/base/units.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <unistd.h>

namespace tlc::log {
namespace {

struct Sink {
    std::atomic<int> fd;
    std::atomic<Level> from;
};
Sink main_sink{STDERR_FILENO, Level::info};
Sink echo_sink{-1, Level::info};

void put(const Sink& sink, Level level, const std::string& line) {
    if (sink.fd < 0 || level < sink.from) return;
    // A log that cannot be written must not stop the job.
    [[maybe_unused]] const ssize_t ignored = ::write(sink.fd, line.data(), line.size());
}

} // namespace

void set_sink(int fd, Level from) {
    main_sink.fd = fd;
    main_sink.from = from;
}

void set_echo(int fd, Level from) {
    echo_sink.fd = fd;
    echo_sink.from = from;
}

void write(Level level, std::string_view text) {
    std::string safe(text);
    std::replace(safe.begin(), safe.end(), '\n', ' ');
    put(main_sink, level,
        fmt::format("{} {} {}\n", utc_text(std::chrono::system_clock::now()), level_name(level), safe));
    put(echo_sink, level,
        fmt::format("tlc: {}{}\n", level >= Level::warning ? fmt::format("{}: ", level_name(level)) : "",
                    safe));
}

} // namespace tlc::log
