// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/files.hpp>
#include <tlc/supervisor/cost_meter.hpp>

#include <algorithm>
#include <charconv>
#include <unistd.h>

namespace tlc {
namespace {

// Shorter than this nothing can be told from a clock that counts hundredths.
constexpr CostMeter::Seconds least_rest{2};
// Processors in use; less is a job that waits for something else.
constexpr double least_speed = 0.1;

// proc(5): fields 14 and 15, counted behind the name, which may hold anything.
constexpr int user_field = 14, system_field = 15, first_behind_name = 3;

} // namespace

void CostMeter::rest(const Sample& now) {
    resting_ = now;
    begun_.reset();
}

std::optional<CostMeter::Seconds> CostMeter::end(const Sample& now) {
    const auto before = resting_;
    const auto begun = begun_;
    rest(now);
    if (!before || !begun) return std::nullopt;
    const Seconds rested = begun->time - before->time, took = now.time - begun->time;
    if (rested < std::max(least_rest, took)) return std::nullopt;
    const double speed = (begun->used - before->used) / rested;
    if (!(speed >= least_speed)) return std::nullopt;
    return std::clamp(took - (now.used - begun->used) / speed, Seconds(0), std::max(took, Seconds(0)));
}

std::optional<std::chrono::duration<double>> processor_time(pid_t pid) {
    const auto text = read_text(fmt::format("/proc/{}/stat", pid), 4096);
    if (!text) return std::nullopt;
    const size_t name_end = text->rfind(')');
    if (name_end == std::string::npos) return std::nullopt;
    uint64_t ticks = 0;
    size_t at = name_end + 1;
    for (int field = first_behind_name; field <= system_field; ++field) {
        at = text->find_first_not_of(' ', at);
        if (at == std::string::npos) return std::nullopt;
        const size_t end = std::min(text->find(' ', at), text->size());
        uint64_t value = 0;
        if (field >= user_field) {
            if (std::from_chars(text->data() + at, text->data() + end, value).ec != std::errc{})
                return std::nullopt;
            ticks += value;
        }
        at = end;
    }
    return std::chrono::duration<double>(static_cast<double>(ticks) /
                                         static_cast<double>(::sysconf(_SC_CLK_TCK)));
}

} // namespace tlc
