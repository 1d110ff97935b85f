// SPDX-License-Identifier: GPL-2.0-or-later
// Reads back what log.hpp writes. A line is
//     2026-01-31T12:00:00Z info checkpoint=3 pause_ms=5.9 stored=1.2 MiB kind=delta
// A field is a name of letters, digits and '_' that begins with a small letter, '=', and a value that ends
// before the next field, so a value may hold spaces; before the first field stands free text. Pure functions.
#pragma once

#include <tlc/base/log.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tlc::log {

struct Line {
    std::string time; // UTC, as it is written
    Level level = Level::info;
    std::string message; // all after the level
    std::string text;    // of the message, what stands before the first field
    std::vector<std::pair<std::string, std::string>> fields; // in their order
};

const char* level_name(Level level); // "debug", "info", "warning", "error"
std::optional<Level> parse_level(std::string_view name);

// Nothing for what is no such line, as a torn one.
std::optional<Line> parse_line(std::string_view line);

} // namespace tlc::log
