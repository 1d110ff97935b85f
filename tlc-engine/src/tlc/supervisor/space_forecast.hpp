// SPDX-License-Identifier: GPL-2.0-or-later
// What the next checkpoint will take of the checkpoint directory's file system, judged by the last ones. A
// guess: whoever starts one that does not fit loses nothing but the attempt. Sizes are bytes. Not
// thread-safe.
#pragma once

#include <algorithm>
#include <cstdint>

namespace tlc {

class SpaceForecast {
  public:
    // A checkpoint was published that took so much; `full`: it stands alone.
    void learn(bool full, uint64_t bytes) { (full ? full_ : further_) = bytes; }
    // For the next one. `resident`: the VM's memory in use, which a first full image cannot exceed by much.
    uint64_t needed(bool full, uint64_t resident) const {
        const uint64_t whole = full_ != 0 ? std::min(full_ + full_ / 4, std::max(resident, full_)) : resident;
        if (full) return whole + reserve;
        return (further_ != 0 ? std::min(further_ * 2, whole) : whole) + reserve;
    }

  private:
    // For the job's output, the log, the live disk's own growth meanwhile.
    static constexpr uint64_t reserve = uint64_t{32} << 20;
    uint64_t full_ = 0;
    uint64_t further_ = 0;
};

} // namespace tlc
