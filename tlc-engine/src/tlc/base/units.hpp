// SPDX-License-Identifier: GPL-2.0-or-later
// Text for people and from people: sizes, times, dates. Pure functions.
#pragma once

#include <tlc/base/result.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tlc {

// "512", "512K", "64M", "2G", "1T" (binary multiples; a bare number counts `unit` bytes). Zero, signs,
// fractions and overflow are errors that say what to write.
Result<uint64_t> parse_size(std::string_view text, uint64_t unit = uint64_t{1} << 20);
std::string size_text(uint64_t bytes); // "1.5 GiB"

// Slurm's time forms (minutes, minutes:seconds, hours:minutes:seconds, days-hours[:minutes[:seconds]]) and
// "90s", "10m", "2h", "1d". Zero and signs are errors that say what to write.
Result<std::chrono::seconds> parse_duration(std::string_view text);
std::string duration_text(std::chrono::milliseconds duration); // "7.2 ms", "12.3 s", "1:02:03"

std::string utc_text(std::chrono::system_clock::time_point when); // "2026-01-31T12:00:00Z"
// The inverse; nothing for any other text.
std::optional<std::chrono::system_clock::time_point> parse_utc(std::string_view text);

} // namespace tlc
