// SPDX-License-Identifier: GPL-2.0-or-later
// One line an event: "2026-01-31T12:00:00Z level text", to one descriptor. Thread-safe (one write(2) a line).
#pragma once

#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace tlc::log {

enum class Level { debug, info, warning, error };

// Where lines go and from which level on; start: stderr, info. The descriptor stays the caller's.
void set_sink(int fd, Level from = Level::info);
// A second sink (the terminal beside the log file); -1: none.
void set_echo(int fd, Level from = Level::info);
void write(Level level, std::string_view text);

template <typename... A>
void debug(fmt::format_string<A...> f, A&&... a) {
    write(Level::debug, fmt::format(f, std::forward<A>(a)...));
}
template <typename... A>
void info(fmt::format_string<A...> f, A&&... a) {
    write(Level::info, fmt::format(f, std::forward<A>(a)...));
}
template <typename... A>
void warning(fmt::format_string<A...> f, A&&... a) {
    write(Level::warning, fmt::format(f, std::forward<A>(a)...));
}
template <typename... A>
void error(fmt::format_string<A...> f, A&&... a) {
    write(Level::error, fmt::format(f, std::forward<A>(a)...));
}

} // namespace tlc::log
