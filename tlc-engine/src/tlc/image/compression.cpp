// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/image/compression.hpp>

#include <algorithm>
#include <ctime>

namespace tlc {
namespace {

constexpr unsigned first_probes = 4;
constexpr unsigned probe_every = 32;
constexpr unsigned measure_every = 8;
constexpr double weight = 0.25; // of a new measurement

void follow(double& mean, double value) { mean = mean == 0 ? value : mean + weight * (value - mean); }

} // namespace

Result<Compression> parse_compression(std::string_view text) {
    if (text == "auto") return Compression::automatic;
    if (text == "always") return Compression::always;
    if (text == "never") return Compression::never;
    return fail(ErrorKind::usage, "compression \"{}\": use auto, always or never", text);
}

CompressionChoice::Step CompressionChoice::next() {
    if (setting_ != Compression::automatic) return {setting_ == Compression::always, false};
    const unsigned number = chunks_++;
    if (number < first_probes || number % probe_every == 0) return {true, true};
    return {cost_ns_ < saved_bytes_ * std::max(write_ns_, disk_ns_), number % measure_every == 0};
}

void CompressionChoice::measured(const Step& step, const Measured& what) {
    if (step.compress) {
        follow(cost_ns_, what.compressing.count());
        follow(saved_bytes_, static_cast<double>(what.saved_bytes));
    }
    if (what.written_bytes > 0)
        follow(write_ns_, what.writing.count() / static_cast<double>(what.written_bytes));
    disk_ns_ = what.disk_ns_per_byte;
}

CompressionChoice::Nanoseconds thread_time() {
    timespec now{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

} // namespace tlc
