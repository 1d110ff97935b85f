// SPDX-License-Identifier: GPL-2.0-or-later
// LogCapture: a consistent image by thread-based live checkpointing (Siripoonya and Chanchio, "Thread-Based
// Live Checkpointing of Virtual Machines", NCA 2011), from another process. It needs no write protection,
// only the VM's dirty log, and always ends after one pass, whatever the guest does.
//
//   prepare()       stage 1, with the dirty log on already
//   before_pause()  stage 2: pass threads go over RAM once; beside them the copier takes the dirty log and
//                   copies those pages into a table
//   in_pause()      stage 3: after the last log was taken, the pages dirty now are copied into the table
//   wait()          stage 4: the table is written
//
// The image is the memory at stage 3. The variants differ in what stage 2 does to the VM:
//   nonstop   the copier never stops it
//   log       it stands still while the log is taken, every `interval`
//   memory    and while those pages are copied, too
//   one_pass  there is no copier: all dirty pages are left to stage 3
// Optimisation 1: the pass leaves out pages that are in the table already. Optimisation 2: a page copied
// again in stage 3 takes the place of its older copy, which stage 4 then need not write.
//
// The table has a fixed size. When it is full its oldest pages are written at once, in stage 3 too: the pause
// grows with what the guest has written, not the memory we take.
#pragma once

#include <tlc/capture/capture.hpp>
#include <tlc/capture/dirty_log.hpp>
#include <tlc/capture/dirty_table.hpp>
#include <tlc/capture/guest_memory.hpp>
#include <tlc/capture/page_sink.hpp>

#include <array>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>

namespace tlc {

enum class LogVariant { nonstop, log, memory, one_pass };

struct LogOptions {
    LogVariant variant = LogVariant::nonstop;
    std::chrono::milliseconds interval{1000}; // between two logs taken in stage 2
    uint64_t buffer_bytes = uint64_t{64} << 20;
    unsigned pass_threads = 1;
    bool skip_known = true;    // optimisation 1
    bool replace_older = true; // optimisation 2
};

class LogCapture final : public Capture {
  public:
    // The log stays the caller's and outlives the capture.
    static Result<std::unique_ptr<LogCapture>> prepare(GuestMemory memory, DirtyBitmap bitmap, DirtyLog& log,
                                                       const LogOptions& options);

    // The sinks, one a pass thread and the last one the copier's, stay the caller's and outlive the capture.
    Status before_pause(std::vector<PageSink*> sinks);
    Status in_pause() override;
    Result<CaptureCounters> wait() override;
    void cancel(Error why) override;
    uint64_t bytes_total() const override { return memory_.length(); }
    uint64_t bytes_done() const override { return pages_passed_ * guest_page; }

  private:
    struct PageRef {
        uint32_t block;
        uint64_t page;
    };
    // Pages of one region reach their sinks one after the other, so that the newest copy is the last.
    static constexpr uint64_t region_pages = sink_bytes / guest_page;

    LogCapture(GuestMemory memory, DirtyBitmap bitmap, DirtyLog& log, const LogOptions& options,
               std::unique_ptr<DirtyTable> table);

    void pass(PageSink& sink);
    Status pass_region(PageSink& sink, uint32_t block, uint64_t first_page, std::span<uint8_t> take,
                       std::span<std::byte> data);
    bool wait_for_pass(std::chrono::milliseconds limit);
    Status copy_round();
    Status copy_dirty();
    Status copy_pages(std::span<const PageRef> pages);
    Status write_oldest(size_t count);
    std::mutex& region_mutex(uint32_t block, uint64_t page) {
        return region_mutexes_[(page / region_pages + block * 7919) % region_mutexes_.size()];
    }
    void stop(Error why);
    Status first_error();

    GuestMemory memory_;
    DirtyBitmap bitmap_;
    DirtyLog& log_;
    LogOptions options_;
    std::vector<PageSink*> sinks_;
    std::unique_ptr<DirtyTable> table_;
    // One byte a page: was in the table (1), was dirty (2).
    std::vector<std::unique_ptr<std::atomic<uint8_t>[]>> marks_;
    std::array<std::mutex, 256> region_mutexes_;

    std::mutex mutex_; // error_ and passing_
    std::condition_variable changed_;
    std::optional<Error> error_;
    unsigned passing_ = 0; // pass threads at work
    std::atomic<bool> ending_{false};
    bool in_stage_3_ = false;
    std::atomic<uint64_t> next_region_{0};
    std::vector<uint64_t> first_region_; // of each block, and the end

    std::atomic<uint64_t> pages_passed_{0};
    std::atomic<uint64_t> pages_saved_{0};
    std::atomic<uint64_t> pages_untouched_{0};
    std::atomic<uint64_t> skipped_known_{0};
    uint64_t skipped_older_ = 0;
    uint64_t table_pages_ = 0;
    uint64_t dirty_pages_ = 0;
};

} // namespace tlc
