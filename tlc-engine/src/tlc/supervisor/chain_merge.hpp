// SPDX-License-Identifier: GPL-2.0-or-later
// Keeps the chains of a live disk's images short: a chain that has grown long is merged into its newest image
// by QEMU (block-stream) while the VM runs, one at a time, and the images that are not needed any more are
// removed from the live disk. A merge that fails, or is cancelled, costs nothing: the chain stays as it is,
// and after the next checkpoint another one is tried. Not thread-safe.
#pragma once

#include <tlc/disk/image_files.hpp>
#include <tlc/vm/qmp.hpp>

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>

namespace tlc {

class ChainMerge {
  public:
    // Overlays above the bottom that a chain may have.
    static constexpr size_t longest = 8;

    // A merge that does not move for `stall_limit` is cancelled: checkpoints wait for it.
    explicit ChainMerge(std::chrono::milliseconds stall_limit = std::chrono::minutes(2))
        : stall_limit_(stall_limit) {}

    // Begins one if a chain is too long and there is room. Not while a checkpoint is being taken.
    void begin_if_due(Qmp& qmp, const std::filesystem::path& live);
    // Looks now and then how it goes on.
    void follow(Qmp& qmp, const std::filesystem::path& live);
    // Until it has ended no checkpoint can be taken. Logs once for each that somebody asked.
    bool holds_up_checkpoint();
    // For a checkpoint that cannot wait: the merge will end soon, and no other begins within half a minute of
    // the last call.
    void cancel(Qmp& qmp);
    // The VM is gone, and its merge with it.
    void forget() { drive_.clear(); }

  private:
    using Clock = std::chrono::steady_clock;
    Status begin(Qmp& qmp, const std::filesystem::path& live, const DiskImage& newest);
    void watch(Qmp& qmp, const nlohmann::json& job);
    Status take_end(Qmp& qmp, const std::filesystem::path& live);

    const std::chrono::milliseconds stall_limit_;
    std::string drive_;      // being merged; empty: none
    bool told_ = false;      // that a checkpoint waits
    bool cancelled_ = false; // this merge
    uint64_t progress_ = 0;
    std::chrono::milliseconds unmoved_{0}; // while it was looked at
    Clock::time_point began_;
    Clock::time_point next_look_;
    Clock::time_point not_before_; // the next one
};

} // namespace tlc
