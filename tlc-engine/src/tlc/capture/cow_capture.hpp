// SPDX-License-Identifier: GPL-2.0-or-later
// CowCapture: a consistent image of a running VM's memory by copy on write. It is write-protected while the
// VM runs; what is written before the pause is noted and protected again in it. After the pause a write
// faults to us, the memory around it is copied into a fixed buffer and its protection is lifted; sweep
// threads take the rest; worker threads hand the copies to sinks. Each page is taken once, as it was at the
// pause. When the buffer is full, writers of the guest wait, first come first served; nothing grows.
// (Concurrent checkpointing: Li, Naughton and Plank, "Low-latency, concurrent checkpointing for parallel
// programs", 1994; here from another process and in clusters.)
//
//   prepare()  allocates everything and starts the threads, which wait.
//   arm()      takes the userfaultfd; faults are served from here on.
//   begin()    a checkpoint begins: protects what has to be copied for it.
//   in_pause() protects again what was written since. Blocks that cannot be protected (ROM) are copied
//              before it returns.
//   wait()     until every page is with its sink.
//
// With `watch` what the sweep has copied stays protected, and after wait() begin() may be called again: then
// only what was written since the last checkpoint has to be copied. That costs the guest one fault for each
// stretch it writes to between two checkpoints, and needs neither a dirty log nor split huge pages.
//
// On an error (a sink's, QEMU gone, cancel) the userfaultfd is closed, which sets every waiting thread of the
// guest free; the object is of no further use. Memory in huge pages is copied and lifted in whole ones, so
// that they are not split.
#pragma once

#include <tlc/base/fd.hpp>
#include <tlc/capture/capture.hpp>
#include <tlc/capture/cluster_map.hpp>
#include <tlc/capture/fault_span.hpp>
#include <tlc/capture/guest_memory.hpp>
#include <tlc/capture/page_sink.hpp>
#include <tlc/capture/slot_pool.hpp>
#include <tlc/capture/userfault.hpp>

#include <array>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <set>
#include <shared_mutex>
#include <thread>

namespace tlc {

inline constexpr uint64_t smallest_cluster = uint64_t{64} << 10;
inline constexpr uint64_t largest_cluster = uint64_t{2} << 20;
// What is copied at once around a fault in memory without huge pages, at most.
inline constexpr uint64_t largest_small_page_span = uint64_t{1} << 20;

struct CaptureOptions {
    uint64_t buffer_bytes = uint64_t{64} << 20; // at least two clusters
    CaptureBuffer* buffer = nullptr; // to be used instead of one of its own of buffer_bytes; the caller's
    uint64_t cluster_bytes = smallest_cluster; // unit of copying, a power of two from 64 KiB to 2 MiB
    bool adaptive = true;                      // copy more than one cluster a fault where that is cheaper
    bool watch = false;                        // go on after wait(), for further checkpoints
    unsigned fault_threads = 1;
    unsigned sweep_threads = 1;
    unsigned workers = 1; // and as many sinks
    int peer_fd = -1; // QEMU's end of the channel, watched for hang-up; the caller's, outlives the capture
};

class CowCapture final : public Capture {
  public:
    static Result<std::unique_ptr<CowCapture>> prepare(GuestMemory memory, const CaptureOptions& options);
    ~CowCapture() override; // cancels what still runs

    // protects_unpopulated: the descriptor protects pages that are not there as well; otherwise they are made
    // present first, unless touching one raises a fault.
    Status arm(Fd userfaultfd, bool protects_unpopulated);
    // The sinks, one a worker, stay the caller's until wait() has returned. everything: copy all memory, also
    // what was not written since the last checkpoint; the first checkpoint is always of everything.
    Status begin(std::vector<PageSink*> sinks, bool everything);
    Status in_pause() override;
    Result<CaptureCounters> wait() override;
    void cancel(Error why) override;
    Status state(); // the first error there was

    // After the pause: what has to be copied.
    uint64_t bytes_total() const override { return bytes_total_; }
    uint64_t bytes_done() const override { return (pages_saved_ + pages_untouched_) * guest_page; }

  private:
    enum class Role { fault, sweep, worker };
    struct Scratch { // one a thread and one for the caller, allocated before the pause
        FaultSpan span;
        std::vector<uint8_t> touched;
        std::vector<GuestMemory::Part> parts;
        std::vector<uint32_t> slots;
    };

    CowCapture(GuestMemory memory, const CaptureOptions& options);
    void start_threads(const CaptureOptions& options);
    void run(Role role, unsigned index);
    bool await_arming();
    bool await_turn(Role role, uint64_t& seen);
    void give_turn(Role role, unsigned threads);
    void all_copied();
    void end_threads();
    void stop(Error why);
    Status hold_userfaultfd();
    void leave_userfaultfd();
    Scratch make_scratch() const;

    Status protect(bool everything);
    Status protect_exposed();
    void count_what_to_copy();
    Status expose(const userfault::Fault& fault);
    Status register_again();

    void serve_faults(Scratch& scratch);
    Status serve(const userfault::Fault& fault, Scratch& scratch);
    Status let_through(const ClusterRun& run);
    Status lift_clean(const ClusterRun& run, Scratch& scratch);
    Status admit_missing(const userfault::Fault& fault, const ClusterRun& run);
    Result<bool> leave_to_kernel(const ClusterRun& run);
    Status fill_zero(const userfault::Fault& fault, const ClusterRun& run);
    ClusterRun around(const ClusterRun& run, Scratch& scratch) const;
    Result<bool> copy_around(const ClusterRun& run, Scratch& scratch);

    void sweep(Scratch& scratch);
    Status sweep_stripe(const ClusterRun& stripe, Scratch& scratch);
    Status copy_unprotectable(Scratch& scratch);
    void work(PageSink& sink);
    Status deliver(PageSink& sink, const Slot& slot);

    Status copy(const ClusterRun& run, std::span<const uint8_t> touched, std::span<const uint32_t> slots,
                bool for_fault, Scratch& scratch);
    Status settle(const ClusterRun& run, bool keep_protected, bool was_there);
    uint64_t address(const ClusterRun& run) const {
        return memory_.blocks()[run.block].host_address + map_.offset(run);
    }

    GuestMemory memory_;
    ClusterMap map_;
    std::vector<PageSink*> sinks_;
    CaptureBuffer* buffer_ = nullptr;
    std::unique_ptr<CaptureBuffer> own_buffer_;
    std::optional<SlotPool> pool_;
    Scratch scratch_;                 // the caller's
    std::vector<ClusterRun> stripes_; // what the sweep goes over, 2 MiB each
    std::atomic<size_t> next_stripe_{0};
    std::atomic<uint64_t> left_{0}; // clusters still to be copied for this checkpoint
    Fd userfaultfd_;                // closed by its last user
    Fd ending_event_;
    int peer_fd_;
    bool adaptive_;
    bool watch_;
    unsigned sweep_threads_;
    unsigned workers_;

    // Shared: a fault is dealt with. Exclusive: its rules change.
    std::shared_mutex rules_mutex_;
    bool before_pause_ = false; // between begin() and the pause
    std::mutex unregistered_mutex_;
    // First clusters of whole stretches, see leave_to_kernel().
    std::set<std::pair<uint32_t, uint64_t>> unregistered_;

    std::mutex mutex_; // from here to users_
    std::condition_variable changed_;
    std::optional<Error> error_;
    bool armed_ = false;
    bool begun_ = false;
    bool paused_ = false;
    uint64_t worker_turns_ = 0; // one a checkpoint, from the pause on
    uint64_t sweep_turns_ = 0;  // one a checkpoint, from wait() on
    unsigned busy_ = 0;         // threads that have not done with their turn
    unsigned users_ = 0;        // of the userfaultfd: fault and sweep threads, and the caller in a call
    std::atomic<bool> ending_{false};
    std::vector<std::thread> threads_;

    std::atomic<uint64_t> bytes_total_{0};
    std::atomic<uint64_t> pages_saved_{0};
    std::atomic<uint64_t> pages_untouched_{0};
    std::atomic<uint64_t> faults_{0};
    std::atomic<uint64_t> exposed_bytes_{0};
    std::atomic<uint64_t> clusters_by_fault_{0};
    std::atomic<uint64_t> clusters_by_sweep_{0};
};

} // namespace tlc
