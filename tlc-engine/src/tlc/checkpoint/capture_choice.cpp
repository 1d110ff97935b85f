// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/checkpoint/capture_choice.hpp>

#include <charconv>

namespace tlc {

namespace {
constexpr unsigned longest_interval_ms = 3'600'000;

std::optional<std::chrono::milliseconds> parse_interval(std::string_view text) {
    unsigned ms = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), ms);
    if (error != std::errc{} || end != text.data() + text.size() || ms == 0 || ms > longest_interval_ms)
        return std::nullopt;
    return std::chrono::milliseconds(ms);
}
} // namespace

std::string CaptureChoice::text() const {
    if (kind == CaptureKind::automatic) return "auto";
    if (kind == CaptureKind::cow) return "cow";
    switch (variant) {
    case LogVariant::nonstop:
        return "log:nonstop";
    case LogVariant::one_pass:
        return "log:onepass";
    case LogVariant::log:
        return fmt::format("log:{}", interval.count());
    case LogVariant::memory:
        return fmt::format("mem:{}", interval.count());
    }
    return "log";
}

Result<CaptureChoice> parse_capture_choice(std::string_view text) {
    if (text == "auto") return CaptureChoice{};
    if (text == "cow") return CaptureChoice{.kind = CaptureKind::cow};
    CaptureChoice choice{.kind = CaptureKind::log};
    if (text == "log:nonstop") return choice;
    if (text == "log:onepass") {
        choice.variant = LogVariant::one_pass;
        return choice;
    }
    const auto known = text.substr(0, 4);
    if (const auto interval = parse_interval(text.substr(known.size()));
        interval && (known == "log:" || known == "mem:")) {
        choice.variant = known == "log:" ? LogVariant::log : LogVariant::memory;
        choice.interval = *interval;
        return choice;
    }
    return fail(
        ErrorKind::usage,
        "unknown way to capture memory: {} (use auto, cow, log:nonstop, log:onepass, log:MS or mem:MS, "
        "MS from 1 to {} milliseconds)",
        text, longest_interval_ms);
}

} // namespace tlc
