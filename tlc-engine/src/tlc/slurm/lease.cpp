// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/slurm/lease.hpp>

#include <algorithm>

namespace tlc {

void Lease::answered(const SlurmJob& job, Clock::time_point asked) {
    if (state_ == State::over) return;
    if (is_replaced(job, restarts_)) {
        state_ = State::over;
        return;
    }
    state_ = State::held;
    contact_ = std::max(contact_, asked);
}

void Lease::reached(Clock::time_point asked) {
    if (state_ == State::held) contact_ = std::max(contact_, asked);
}

void Lease::silent(Clock::time_point now) {
    if (state_ == State::held && limit_.count() > 0 && now - contact_ >= limit_) state_ = State::lost;
}

std::chrono::seconds lease_limit(std::chrono::seconds slurmd_timeout) { return slurmd_timeout / 2; }

std::chrono::seconds lease_interval(std::chrono::seconds slurmd_timeout) {
    constexpr std::chrono::seconds shortest{1};
    constexpr std::chrono::seconds longest{15};
    return slurmd_timeout.count() == 0 ? longest : std::clamp(slurmd_timeout / 20, shortest, longest);
}

// A good part of the limit would be gone otherwise.
std::chrono::seconds lease_patience(std::chrono::seconds slurmd_timeout) {
    constexpr std::chrono::seconds least{2};
    constexpr std::chrono::seconds most{10};
    return slurmd_timeout.count() == 0 ? most : std::clamp(lease_limit(slurmd_timeout) / 3, least, most);
}

std::chrono::seconds longest_lease(std::chrono::seconds slurmd_timeout) {
    if (slurmd_timeout.count() == 0) return {};
    // The last question may have begun just before the limit; what comes after it takes a second or two.
    return lease_limit(slurmd_timeout) + lease_patience(slurmd_timeout) + std::chrono::seconds(2);
}

} // namespace tlc
