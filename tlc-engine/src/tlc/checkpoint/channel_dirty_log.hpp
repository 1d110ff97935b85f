// SPDX-License-Identifier: GPL-2.0-or-later
// QEMU's dirty log, asked for over the channel (SYNC and RELEASE). The channel stays the caller's.
// Not thread-safe.
#pragma once

#include <tlc/capture/dirty_log.hpp>
#include <tlc/channel/channel.hpp>

namespace tlc {

class ChannelDirtyLog final : public DirtyLog {
  public:
    ChannelDirtyLog(Channel& channel, std::chrono::milliseconds limit) : channel_(channel), limit_(limit) {}
    Status sync(bool hold) override;
    Status release() override;
    uint64_t longest_hold_ns() const { return longest_hold_ns_; }

  private:
    Channel& channel_;
    std::chrono::milliseconds limit_;
    uint64_t held_since_ns_ = 0; // CLOCK_MONOTONIC
    uint64_t longest_hold_ns_ = 0;
};

} // namespace tlc
