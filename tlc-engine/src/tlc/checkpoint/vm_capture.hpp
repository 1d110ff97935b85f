// SPDX-License-Identifier: GPL-2.0-or-later
// VmCapture: the capture of a VM that QEMU has opened a channel for, of whichever kind was chosen. Owns the
// capture; the session stays the caller's and outlives it, the sinks until wait() has returned. Calls, one
// thread: begin, then for a checkpoint before_pause, [PAUSE, PAUSED], in_pause, [RESUME, RESUMED], wait;
// where watches() is true the same again for the next one.
#pragma once

#include <tlc/capture/cow_capture.hpp>
#include <tlc/capture/log_capture.hpp>
#include <tlc/checkpoint/capture_choice.hpp>
#include <tlc/checkpoint/channel_dirty_log.hpp>
#include <tlc/checkpoint/session.hpp>

namespace tlc {

struct VmCaptureOptions {
    CaptureChoice choice; // not automatic
    bool watch = false;   // copy on write: for more than one checkpoint
    unsigned compressing_threads = 2;
    uint64_t buffer_bytes = uint64_t{64} << 20;
    CaptureBuffer* buffer = nullptr; // copy on write: used instead of one of its own; outlives the capture
    bool skip_known = true;          // log's optimisations
    bool replace_older = true;
};

class VmCapture {
  public:
    // Allocates what is needed and asks QEMU for the userfaultfd or the dirty log. `refused` (optional) is
    // set when it was QEMU that would not give it: the VM is as it was, and another kind may work.
    static Result<std::unique_ptr<VmCapture>> begin(EngineSession& session, const VmCaptureOptions& options,
                                                    bool* refused);

    size_t sinks() const { return sinks_; } // how many before_pause wants
    bool watches() const { return watches_; }
    // It has met an error, perhaps between two checkpoints, and is of no further use.
    bool failed() const { return cow_ && !cow_->state(); }
    void cancel(Error why) { capture().cancel(std::move(why)); }

    // cow: protects what has to be copied: all memory, or what was written since the last checkpoint. log:
    // goes over all memory, which is nearly the whole work.
    Status before_pause(std::vector<PageSink*> sinks, bool everything);
    Status in_pause() { return capture().in_pause(); }
    Result<CaptureCounters> wait() { return capture().wait(); }
    // The longest the VM stood still before the pause, by our own doing.
    uint64_t longest_hold_ns() const { return log_ ? log_->longest_hold_ns() : 0; }
    uint64_t bytes_total() const { return capture().bytes_total(); }
    uint64_t bytes_done() const { return capture().bytes_done(); }

  private:
    VmCapture() = default;
    Status begin_cow(EngineSession& session, GuestMemory memory, const VmCaptureOptions& options,
                     bool* refused);
    Status begin_log(EngineSession& session, GuestMemory memory, const VmCaptureOptions& options,
                     bool* refused);
    Capture& capture() const { return cow_ ? static_cast<Capture&>(*cow_) : static_cast<Capture&>(*by_log_); }

    size_t sinks_ = 0;
    bool watches_ = false;
    std::unique_ptr<CowCapture> cow_; // this one or
    std::optional<ChannelDirtyLog> log_;
    std::unique_ptr<LogCapture> by_log_;
};

} // namespace tlc
