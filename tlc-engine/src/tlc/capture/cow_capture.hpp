// SPDX-License-Identifier: GPL-2.0-or-later
// CowCapture: a consistent image of a running VM's memory. Write protection was set on all of it while the VM
// was paused; a write faults to us, the cluster around it is copied into a fixed buffer and its protection is
// lifted; sweep threads take the rest; worker threads hand the copies to sinks. Each page is taken once, as
// it was at the pause. When the buffer is full, writers of the guest wait; nothing grows.
//
//   prepare()  before the pause: allocates everything and starts the threads, which wait.
//   start()    in the pause, after PAUSED and before RESUME: faults are served from here on. Blocks that
//   cannot
//              be protected (ROM) are copied before it returns.
//   wait()     until every page is with its sink, or the first error.
//
// On an error (a sink's, QEMU gone, cancel) the userfaultfd is closed, which sets every waiting thread of the
// guest free: the VM runs on, only the checkpoint is lost. Prepare, start and wait: one thread; the rest:
// any.
#pragma once

#include <tlc/base/fd.hpp>
#include <tlc/capture/cluster_map.hpp>
#include <tlc/capture/guest_memory.hpp>
#include <tlc/capture/page_sink.hpp>
#include <tlc/capture/slot_pool.hpp>
#include <tlc/capture/userfault.hpp>

#include <chrono>
#include <thread>

namespace tlc {

inline constexpr uint64_t smallest_cluster = uint64_t{64} << 10;
inline constexpr uint64_t largest_cluster = uint64_t{2} << 20;

struct CaptureOptions {
    uint64_t buffer_bytes = uint64_t{64} << 20; // at least two clusters
    uint64_t cluster_bytes = smallest_cluster;  // a power of two from 64 KiB to 2 MiB
    unsigned fault_threads = 1;
    unsigned sweep_threads = 1;
    int peer_fd = -1; // QEMU's end of the channel, watched for hang-up; the caller's, outlives the capture
};

struct CaptureCounters {
    uint64_t pages_saved = 0;     // given to a sink
    uint64_t pages_untouched = 0; // never touched by the guest, so zero
    uint64_t faults = 0;
    uint64_t buffer_peak_bytes = 0;
    uint64_t clusters_by_fault = 0;
    uint64_t clusters_by_sweep = 0;
};

class CowCapture {
  public:
    // The sinks, one a worker thread, stay the caller's and outlive the capture.
    static Result<std::unique_ptr<CowCapture>> prepare(GuestMemory memory, const CaptureOptions& options,
                                                       std::vector<PageSink*> sinks);
    ~CowCapture(); // cancels what still runs

    Status start(Fd userfaultfd);
    // True when all threads are done, so that wait() returns at once; waits for that at most `limit`.
    bool finished(std::chrono::milliseconds limit);
    Result<CaptureCounters> wait();
    void cancel(Error why); // wait() then returns it, unless something else failed first

    uint64_t bytes_total() const { return memory_.length(); }
    uint64_t bytes_done() const { return (pages_saved_ + pages_untouched_) * guest_page; }

  private:
    enum class Phase { parked, running, abandoned };
    enum class Role { fault, sweep, worker };
    struct Scratch { // one a thread, allocated before the pause
        std::vector<uint8_t> touched;
        std::vector<GuestMemory::Part> parts;
        std::vector<uint32_t> slots;
    };

    CowCapture(GuestMemory memory, const CaptureOptions& options, std::vector<PageSink*> sinks);
    void start_threads(const CaptureOptions& options);
    void enter_phase(Phase phase);
    bool park();
    void run(Role role, unsigned index);
    void finish();
    void stop(Error why);
    Scratch make_scratch() const;

    void serve_faults(Scratch& scratch);
    void sweep(Scratch& scratch);
    void work(PageSink& sink);
    Status serve(const userfault::Fault& fault, Scratch& scratch);
    Status sweep_stripe(const ClusterRun& stripe, Scratch& scratch);
    Status copy_unprotectable(Scratch& scratch);
    Status copy(const ClusterRun& run, std::span<const uint8_t> touched, std::span<const uint32_t> slots,
                Scratch& scratch);
    Status deliver(PageSink& sink, const Slot& slot);

    GuestMemory memory_;
    ClusterMap map_;
    std::vector<PageSink*> sinks_;
    std::unique_ptr<SlotPool> pool_;
    std::vector<ClusterRun> stripes_; // what the sweep goes over, about 1 MiB each
    std::atomic<size_t> next_stripe_{0};
    Fd userfaultfd_; // closed by the last fault or sweep thread
    Fd ending_event_;
    int peer_fd_;

    std::mutex mutex_; // phase_, error_ and the thread counts
    std::condition_variable changed_;
    Phase phase_ = Phase::parked;
    std::optional<Error> error_;
    unsigned parked_ = 0;
    unsigned guest_threads_ = 0; // fault and sweep threads alive
    unsigned live_threads_ = 0;
    std::atomic<bool> ending_{false};
    std::vector<std::thread> threads_;

    std::atomic<uint64_t> pages_saved_{0};
    std::atomic<uint64_t> pages_untouched_{0};
    std::atomic<uint64_t> faults_{0};
    std::atomic<uint64_t> clusters_by_fault_{0};
    std::atomic<uint64_t> clusters_by_sweep_{0};
};

} // namespace tlc
