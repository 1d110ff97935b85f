// SPDX-License-Identifier: GPL-2.0-or-later
// CowCapture: a consistent image of a running VM's memory by copy on write. All of it is write-protected
// while the VM runs; what is written before the pause is noted and protected again in it. After the pause a
// write faults to us, the memory around it is copied into a fixed buffer and its protection is lifted; sweep
// threads take the rest; worker threads hand the copies to sinks. Each page is taken once, as it was at the
// pause. When the buffer is full, writers of the guest wait, first come first served; nothing grows.
// (Concurrent checkpointing: Li, Naughton and Plank, "Low-latency, concurrent checkpointing for parallel
// programs", 1994; here from another process and in clusters.)
//
//   prepare()  allocates everything and starts the threads, which wait.
//   arm()      takes the userfaultfd and protects all memory; faults are served from here on.
//   in_pause() protects again what was written since. Blocks that cannot be protected (ROM) are copied
//              before it returns.
//
// On an error (a sink's, QEMU gone, cancel) the userfaultfd is closed, which sets every waiting thread of the
// guest free. Memory in huge pages is copied and lifted in whole ones, so that they are not split.
#pragma once

#include <tlc/base/fd.hpp>
#include <tlc/capture/capture.hpp>
#include <tlc/capture/cluster_map.hpp>
#include <tlc/capture/fault_span.hpp>
#include <tlc/capture/guest_memory.hpp>
#include <tlc/capture/page_sink.hpp>
#include <tlc/capture/slot_pool.hpp>
#include <tlc/capture/userfault.hpp>

#include <condition_variable>
#include <mutex>
#include <shared_mutex>
#include <thread>

namespace tlc {

inline constexpr uint64_t smallest_cluster = uint64_t{64} << 10;
inline constexpr uint64_t largest_cluster = uint64_t{2} << 20;
// What is copied at once around a fault in memory without huge pages, at most.
inline constexpr uint64_t largest_small_page_span = uint64_t{1} << 20;

struct CaptureOptions {
    uint64_t buffer_bytes = uint64_t{64} << 20; // at least two clusters
    uint64_t cluster_bytes = smallest_cluster;  // unit of copying, a power of two from 64 KiB to 2 MiB
    bool adaptive = true;                       // copy more than one cluster a fault where that is cheaper
    unsigned fault_threads = 1;
    unsigned sweep_threads = 1;
    int peer_fd = -1; // QEMU's end of the channel, watched for hang-up; the caller's, outlives the capture
};

class CowCapture final : public Capture {
  public:
    // The sinks, one a worker thread, stay the caller's and outlive the capture.
    static Result<std::unique_ptr<CowCapture>> prepare(GuestMemory memory, const CaptureOptions& options,
                                                       std::vector<PageSink*> sinks);
    ~CowCapture() override; // cancels what still runs

    // protects_unpopulated: the descriptor protects pages that are not there as well; otherwise they are made
    // present first, unless touching one raises a fault.
    Status arm(Fd userfaultfd, bool protects_unpopulated);
    Status in_pause() override;
    // True when all threads are done, so that wait() returns at once; waits for that at most `limit`.
    bool finished(std::chrono::milliseconds limit);
    Result<CaptureCounters> wait() override;
    void cancel(Error why) override;

    uint64_t bytes_total() const override { return memory_.length(); }
    uint64_t bytes_done() const override { return (pages_saved_ + pages_untouched_) * guest_page; }

  private:
    // Fault threads go on in `armed`, the others in `running`.
    enum class Phase { parked, armed, running, abandoned };
    enum class Role { fault, sweep, worker };
    struct Scratch { // one a thread, allocated before the pause
        FaultSpan span;
        std::vector<uint8_t> touched;
        std::vector<GuestMemory::Part> parts;
        std::vector<uint32_t> slots;
    };

    CowCapture(GuestMemory memory, const CaptureOptions& options, std::vector<PageSink*> sinks);
    void start_threads(const CaptureOptions& options);
    void enter_phase(Phase phase);
    bool park(Role role);
    void run(Role role, unsigned index);
    void finish();
    void stop(Error why);
    Status first_error();
    void leave_userfaultfd();
    void disown();
    Scratch make_scratch() const;

    Status protect_all();
    Status protect_exposed();
    Result<bool> expose(const userfault::Fault& fault);

    void serve_faults(Scratch& scratch);
    void sweep(Scratch& scratch);
    void work(PageSink& sink);
    Status serve(const userfault::Fault& fault, Scratch& scratch);
    Status let_through(const userfault::Fault& fault, const ClusterRun& run);
    Status copy_around(const ClusterRun& run, Scratch& scratch);
    Status sweep_stripe(const ClusterRun& stripe, Scratch& scratch);
    Status copy_unprotectable(Scratch& scratch);
    Status copy(const ClusterRun& run, std::span<const uint8_t> touched, std::span<const uint32_t> slots,
                Scratch& scratch);
    Status deliver(PageSink& sink, const Slot& slot);

    GuestMemory memory_;
    ClusterMap map_;
    std::vector<PageSink*> sinks_;
    std::unique_ptr<SlotPool> pool_;
    std::vector<ClusterRun> stripes_; // what the sweep goes over, 2 MiB each
    std::atomic<size_t> next_stripe_{0};
    Fd userfaultfd_; // closed by its last user
    bool caller_uses_ = true;
    bool paused_ = false;
    Fd ending_event_;
    int peer_fd_;
    bool adaptive_;
    std::shared_mutex pause_mutex_; // shared: a fault is dealt with as one before the pause
    bool in_pause_ = false;         // with pause_mutex_

    std::mutex mutex_; // phase_, error_ and the thread counts
    std::condition_variable changed_;
    Phase phase_ = Phase::parked;
    std::optional<Error> error_;
    unsigned parked_ = 0;
    unsigned users_ = 0; // of the userfaultfd: fault and sweep threads and the caller
    unsigned live_threads_ = 0;
    std::atomic<bool> ending_{false};
    std::vector<std::thread> threads_;

    std::atomic<uint64_t> pages_saved_{0};
    std::atomic<uint64_t> pages_untouched_{0};
    std::atomic<uint64_t> faults_{0};
    std::atomic<uint64_t> exposed_bytes_{0};
    std::atomic<uint64_t> clusters_by_fault_{0};
    std::atomic<uint64_t> clusters_by_sweep_{0};
};

} // namespace tlc
