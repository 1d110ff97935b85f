// SPDX-License-Identifier: GPL-2.0-or-later
// Throttle keeps a transfer to so many bytes a second from its making on. Not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <thread>

namespace tlc {

class Throttle {
  public:
    explicit Throttle(uint64_t bytes_per_second) : bytes_per_second_(bytes_per_second) {} // 0: no limit

    // So many bytes more have been moved: waits until they are due.
    void passed(uint64_t bytes) {
        bytes_ += bytes;
        if (bytes_per_second_ == 0) return;
        const std::chrono::duration<double> due(static_cast<double>(bytes_) /
                                                static_cast<double>(bytes_per_second_));
        std::this_thread::sleep_until(began_ + std::chrono::duration_cast<std::chrono::nanoseconds>(due));
    }

  private:
    const uint64_t bytes_per_second_;
    const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
    uint64_t bytes_ = 0;
};

} // namespace tlc
