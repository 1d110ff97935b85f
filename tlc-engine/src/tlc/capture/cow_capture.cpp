// SPDX-License-Identifier: GPL-2.0-or-later
// Life of a capture: its threads and how it ends. What the threads do with the memory is in cow_copy.cpp.
#include <tlc/capture/cow_capture.hpp>

#include <sys/eventfd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <csignal>
#include <pthread.h>
#include <unistd.h>

namespace tlc {

namespace {

constexpr uint64_t stripe_bytes = uint64_t{1} << 20;

Status check(const GuestMemory& memory, const CaptureOptions& options, size_t sinks) {
    if (!std::has_single_bit(options.cluster_bytes) || options.cluster_bytes < smallest_cluster ||
        options.cluster_bytes > largest_cluster)
        return fail(ErrorKind::usage, "cluster size {}: use a power of two from {} to {} bytes",
                    options.cluster_bytes, smallest_cluster, largest_cluster);
    if (options.fault_threads == 0 || options.sweep_threads == 0 || sinks == 0)
        return fail(ErrorKind::usage, "a capture needs at least one fault, one sweep and one worker thread");
    for (const GuestBlock& b : memory.blocks())
        if (b.page_size > largest_cluster || !std::has_single_bit(b.page_size))
            return fail(ErrorKind::incompatible,
                        "RAM block {} has pages of {} bytes: back the VM's memory with pages of at most {}",
                        b.id, b.page_size, largest_cluster);
    return {};
}

} // namespace

CowCapture::CowCapture(GuestMemory memory, const CaptureOptions& options, std::vector<PageSink*> sinks)
    : memory_(std::move(memory)), map_(memory_.blocks(), options.cluster_bytes), sinks_(std::move(sinks)),
      peer_fd_(options.peer_fd) {
    for (uint32_t block = 0; block < memory_.blocks().size(); ++block) {
        if (!memory_.blocks()[block].protectable) continue;
        const uint64_t each = std::max<uint64_t>(1, stripe_bytes / map_.cluster_bytes(block));
        for (uint64_t first = 0; first < map_.clusters(block); first += each)
            stripes_.push_back({block, first, std::min(each, map_.clusters(block) - first)});
    }
}

Result<std::unique_ptr<CowCapture>> CowCapture::prepare(GuestMemory memory, const CaptureOptions& options,
                                                        std::vector<PageSink*> sinks) {
    TLC_TRY(check(memory, options, sinks.size()));
    std::unique_ptr<CowCapture> capture(new CowCapture(std::move(memory), options, std::move(sinks)));
    const uint64_t slot = capture->map_.largest();
    const uint64_t slots = options.buffer_bytes / slot;
    if (slots < 2)
        return fail(ErrorKind::usage,
                    "the checkpoint buffer of {} bytes is too small: at least {} are needed",
                    options.buffer_bytes, 2 * slot);
    // More slots than clusters would never be filled.
    const auto count = static_cast<uint32_t>(
        std::min<uint64_t>({slots, std::max<uint64_t>(2, capture->map_.total() + 1), UINT32_MAX}));
    TLC_TRY_ASSIGN(pool, SlotPool::create(count, slot));
    capture->pool_ = std::move(pool);
    capture->ending_event_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!capture->ending_event_) return fail_errno(errno, "cannot make an eventfd");
    capture->start_threads(options);
    return capture;
}

CowCapture::~CowCapture() {
    if (threads_.empty()) return;
    stop({ErrorKind::failed, "the capture was given up"});
    enter_phase(Phase::abandoned);
    for (std::thread& t : threads_)
        t.join();
}

void CowCapture::start_threads(const CaptureOptions& options) {
    // Signals are the main thread's.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    guest_threads_ = options.fault_threads + options.sweep_threads;
    live_threads_ = guest_threads_ + static_cast<unsigned>(sinks_.size());
    for (unsigned i = 0; i < options.fault_threads; ++i)
        threads_.emplace_back([=, this] { run(Role::fault, i); });
    for (unsigned i = 0; i < options.sweep_threads; ++i)
        threads_.emplace_back([=, this] { run(Role::sweep, i); });
    for (unsigned i = 0; i < sinks_.size(); ++i)
        threads_.emplace_back([=, this] { run(Role::worker, i); });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return parked_ == threads_.size(); });
}

CowCapture::Scratch CowCapture::make_scratch() const {
    const uint64_t pages = std::max(map_.largest(), stripe_bytes) / guest_page;
    Scratch scratch;
    scratch.touched.resize(pages);
    scratch.parts.reserve(pages);
    scratch.slots.resize(stripe_bytes / smallest_cluster);
    return scratch;
}

void CowCapture::enter_phase(Phase phase) {
    const std::lock_guard lock(mutex_);
    if (phase_ == Phase::parked) phase_ = phase;
    changed_.notify_all();
}

bool CowCapture::park() {
    std::unique_lock lock(mutex_);
    ++parked_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return phase_ != Phase::parked; });
    return phase_ == Phase::running;
}

void CowCapture::run(Role role, unsigned index) {
    Scratch scratch = make_scratch();
    if (park()) {
        if (role == Role::fault) serve_faults(scratch);
        if (role == Role::sweep) sweep(scratch);
        if (role == Role::worker) work(*sinks_[index]);
    }
    std::unique_lock lock(mutex_);
    if (role != Role::worker && --guest_threads_ == 0) {
        // Nobody uses the descriptor any more. Closing it sets the guest free, so it does not wait for
        // wait().
        lock.unlock();
        userfaultfd_.reset();
        lock.lock();
    }
    --live_threads_;
    changed_.notify_all();
}

Status CowCapture::start(Fd userfaultfd) {
    {
        const std::lock_guard lock(mutex_);
        if (phase_ != Phase::parked) return fail("a capture can be started once");
    }
    userfaultfd_ = std::move(userfaultfd);
    if (auto ready = userfault::make_nonblocking(userfaultfd_.get()); !ready) stop(std::move(ready).error());
    enter_phase(Phase::running);
    if (map_.total() == 0) finish();
    Scratch scratch = make_scratch();
    if (auto copied = copy_unprotectable(scratch); !copied) stop(std::move(copied).error());
    const std::lock_guard lock(mutex_);
    if (error_) return tl::unexpected<Error>(*error_);
    return {};
}

bool CowCapture::finished(std::chrono::milliseconds limit) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, limit, [&] { return live_threads_ == 0; });
}

Result<CaptureCounters> CowCapture::wait() {
    {
        const std::lock_guard lock(mutex_);
        if (phase_ == Phase::parked) return fail("the capture was not started");
    }
    for (std::thread& t : threads_)
        t.join();
    threads_.clear();
    if (error_) return tl::unexpected<Error>(*error_);
    CaptureCounters counters;
    counters.pages_saved = pages_saved_;
    counters.pages_untouched = pages_untouched_;
    counters.faults = faults_;
    counters.buffer_peak_bytes = pool_->peak_bytes();
    counters.clusters_by_fault = clusters_by_fault_;
    counters.clusters_by_sweep = clusters_by_sweep_;
    return counters;
}

void CowCapture::cancel(Error why) { stop(std::move(why)); }

// Every cluster is saved: the fault threads are done, the workers empty the queue.
void CowCapture::finish() {
    ending_ = true;
    pool_->close();
    ::eventfd_write(ending_event_.get(), 1);
}

void CowCapture::stop(Error why) {
    {
        const std::lock_guard lock(mutex_);
        if (!error_) error_ = std::move(why);
    }
    ending_ = true;
    pool_->abort();
    ::eventfd_write(ending_event_.get(), 1);
}

} // namespace tlc
