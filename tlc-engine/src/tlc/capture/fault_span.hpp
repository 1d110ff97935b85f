// SPDX-License-Identifier: GPL-2.0-or-later
// FaultSpan: how much to copy around one write fault. Copying and lifting have a cost a call and a smaller
// one a page, and the writer waits for both: while faults follow each other closely more is taken at once,
// when they are rare only what was asked for. Not thread-safe: one a fault thread.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace tlc {

class FaultSpan {
  public:
    using Clock = std::chrono::steady_clock;
    FaultSpan(uint64_t least, uint64_t most) : least_(least), most_(std::max(least, most)), span_(least) {}

    // Bytes to take for a fault that came now: least doubled some times, at most `most`.
    uint64_t next(Clock::time_point now) {
        const auto since = now - last_;
        last_ = now;
        if (since < std::chrono::milliseconds(2))
            span_ = std::min(span_ * 2, most_);
        else if (since > std::chrono::milliseconds(20))
            span_ = least_;
        return span_;
    }

  private:
    uint64_t least_;
    uint64_t most_;
    uint64_t span_;
    Clock::time_point last_{};
};

} // namespace tlc
