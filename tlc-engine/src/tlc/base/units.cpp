// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/units.hpp>

#include <charconv>
#include <ctime>
#include <limits>
#include <optional>
#include <vector>

namespace tlc {
namespace {

std::optional<uint64_t> number(std::string_view text) {
    uint64_t value = 0;
    if (text.empty() || text.front() == '+') return std::nullopt;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
    std::vector<std::string_view> parts;
    for (size_t at = 0;;) {
        const size_t end = text.find(separator, at);
        parts.push_back(text.substr(at, end - at));
        if (end == std::string_view::npos) return parts;
        at = end + 1;
    }
}

// Years of seconds fit well below this; it keeps the arithmetic from overflowing.
constexpr uint64_t largest_count = 100'000'000;

std::optional<uint64_t> colon_seconds(std::string_view text, bool with_days) {
    uint64_t days = 0;
    auto rest = text;
    if (with_days) {
        const auto dash = text.find('-');
        const auto value = number(text.substr(0, dash));
        if (!value || *value > largest_count) return std::nullopt;
        days = *value;
        rest = text.substr(dash + 1);
    }
    std::vector<uint64_t> fields;
    for (const auto part : split(rest, ':')) {
        const auto value = number(part);
        if (!value || *value > largest_count) return std::nullopt;
        fields.push_back(*value);
    }
    if (fields.empty() || fields.size() > 3) return std::nullopt;
    // With days the first field is hours; without, the last is seconds except for a lone number of minutes.
    const bool hours_first = with_days || fields.size() == 3;
    uint64_t seconds = days * 86400;
    uint64_t unit = hours_first ? 3600 : 60;
    for (const uint64_t field : fields) {
        seconds += field * unit;
        unit /= 60;
    }
    return seconds;
}

} // namespace

Result<uint64_t> parse_size(std::string_view text, uint64_t unit) {
    auto digits = text;
    uint64_t scale = unit;
    if (!digits.empty()) {
        switch (digits.back()) {
        case 'K':
        case 'k':
            scale = uint64_t{1} << 10;
            break;
        case 'M':
        case 'm':
            scale = uint64_t{1} << 20;
            break;
        case 'G':
        case 'g':
            scale = uint64_t{1} << 30;
            break;
        case 'T':
        case 't':
            scale = uint64_t{1} << 40;
            break;
        default:
            scale = 0;
        }
        if (scale != 0)
            digits.remove_suffix(1);
        else
            scale = unit;
    }
    const auto value = number(digits);
    if (!value || *value == 0 || *value > std::numeric_limits<uint64_t>::max() / 2 / scale)
        return fail(ErrorKind::usage, "invalid size \"{}\" (write for example 512M or 2G)", text);
    return *value * scale;
}

std::string size_text(uint64_t bytes) {
    constexpr const char* names[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    auto value = static_cast<double>(bytes);
    int unit = 0;
    for (; value >= 1024 && unit < 4; ++unit)
        value /= 1024;
    return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, names[unit]);
}

Result<std::chrono::seconds> parse_duration(std::string_view text) {
    std::optional<uint64_t> seconds;
    if (!text.empty()) {
        uint64_t unit = 0;
        switch (text.back()) {
        case 's':
            unit = 1;
            break;
        case 'm':
            unit = 60;
            break;
        case 'h':
            unit = 3600;
            break;
        case 'd':
            unit = 86400;
            break;
        default:
            break;
        }
        if (unit != 0) {
            seconds = number(text.substr(0, text.size() - 1));
            if (seconds && *seconds > largest_count) seconds.reset();
            if (seconds) *seconds *= unit;
        } else {
            seconds = colon_seconds(text, text.find('-') != std::string_view::npos && text.front() != '-');
        }
    }
    if (!seconds || *seconds == 0)
        return fail(ErrorKind::usage,
                    "invalid time \"{}\" (write for example 90s, 10m, 2h, 10 for ten minutes, or 1:30:00)",
                    text);
    return std::chrono::seconds(*seconds);
}

std::string duration_text(std::chrono::milliseconds duration) {
    const auto ms = duration.count();
    if (ms < 1000) return fmt::format("{} ms", ms);
    if (ms < 60'000) return fmt::format("{:.1f} s", static_cast<double>(ms) / 1000);
    const auto s = ms / 1000;
    return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
}

std::string utc_text(std::chrono::system_clock::time_point when) {
    const std::time_t seconds = std::chrono::system_clock::to_time_t(when);
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    char text[32];
    std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    return text;
}

std::optional<std::chrono::system_clock::time_point> parse_utc(std::string_view text) {
    std::tm parts{};
    const std::string copy(text);
    const char* end = ::strptime(copy.c_str(), "%Y-%m-%dT%H:%M:%SZ", &parts);
    if (end == nullptr || *end != '\0') return std::nullopt;
    return std::chrono::system_clock::from_time_t(::timegm(&parts));
}

} // namespace tlc
