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

constexpr uint64_t stripe_bytes = largest_cluster;

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
      peer_fd_(options.peer_fd), adaptive_(options.adaptive) {
    for (uint32_t block = 0; block < memory_.blocks().size(); ++block) {
        if (!memory_.blocks()[block].protectable) continue;
        for (uint64_t first = 0; first < map_.clusters(block);) {
            const ClusterRun stretch = map_.stretch({block, first, 1}, stripe_bytes);
            const uint64_t end = stretch.first + stretch.count;
            stripes_.push_back({block, first, end - first});
            first = end;
        }
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
    disown();
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
    live_threads_ = options.fault_threads + options.sweep_threads + static_cast<unsigned>(sinks_.size());
    users_ = options.fault_threads + options.sweep_threads + 1; // and the caller
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
    Scratch scratch{FaultSpan(map_.smallest(), largest_small_page_span), {}, {}, {}};
    scratch.touched.resize(pages);
    scratch.parts.reserve(pages);
    scratch.slots.resize(stripe_bytes / smallest_cluster + 1);
    return scratch;
}

void CowCapture::enter_phase(Phase phase) {
    const std::lock_guard lock(mutex_);
    if (phase_ < phase) phase_ = phase;
    changed_.notify_all();
}

bool CowCapture::park(Role role) {
    const Phase until = role == Role::fault ? Phase::armed : Phase::running;
    std::unique_lock lock(mutex_);
    ++parked_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return phase_ >= until || error_; });
    return phase_ != Phase::abandoned && !error_;
}

void CowCapture::run(Role role, unsigned index) {
    Scratch scratch = make_scratch();
    if (park(role)) {
        if (role == Role::fault) serve_faults(scratch);
        if (role == Role::sweep) sweep(scratch);
        if (role == Role::worker) work(*sinks_[index]);
    }
    if (role != Role::worker) leave_userfaultfd();
    const std::lock_guard lock(mutex_);
    --live_threads_;
    changed_.notify_all();
}

// The last user closes the descriptor: that sets the guest free, so it does not wait for wait().
void CowCapture::leave_userfaultfd() {
    {
        const std::lock_guard lock(mutex_);
        if (--users_ > 0) return;
    }
    userfaultfd_.reset();
}

void CowCapture::disown() {
    if (std::exchange(caller_uses_, false)) leave_userfaultfd();
}

Status CowCapture::arm(Fd userfaultfd, bool protects_unpopulated) {
    {
        const std::lock_guard lock(mutex_);
        if (phase_ != Phase::parked) return fail("a capture can be armed once");
    }
    userfaultfd_ = std::move(userfaultfd);
    if (auto ready = userfault::make_nonblocking(userfaultfd_.get()); !ready) stop(std::move(ready).error());
    enter_phase(Phase::armed);
    if (!protects_unpopulated)
        if (auto done = memory_.populate(); !done) stop(std::move(done).error());
    if (auto done = protect_all(); !done) stop(std::move(done).error());
    auto status = first_error();
    if (!status) disown();
    return status;
}

Status CowCapture::in_pause() {
    {
        const std::lock_guard lock(mutex_);
        if (phase_ != Phase::armed) return fail("a capture is paused for once, after it was armed");
        if (error_) return tl::unexpected<Error>(*error_);
    }
    paused_ = true;
    if (auto done = protect_exposed(); !done) stop(std::move(done).error());
    enter_phase(Phase::running);
    if (map_.total() == 0) finish();
    Scratch scratch = make_scratch();
    if (auto copied = copy_unprotectable(scratch); !copied) stop(std::move(copied).error());
    disown();
    return first_error();
}

Status CowCapture::first_error() {
    const std::lock_guard lock(mutex_);
    if (error_) return tl::unexpected<Error>(*error_);
    return {};
}

bool CowCapture::finished(std::chrono::milliseconds limit) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, limit, [&] { return live_threads_ == 0; });
}

Result<CaptureCounters> CowCapture::wait() {
    // Without a pause there is no image.
    if (!paused_) {
        stop({ErrorKind::failed, "the capture came to no pause"});
        disown();
        enter_phase(Phase::abandoned);
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
    counters.exposed_bytes = exposed_bytes_;
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
        ending_ = true;
        changed_.notify_all();
    }
    pool_->abort();
    ::eventfd_write(ending_event_.get(), 1);
}

} // namespace tlc
