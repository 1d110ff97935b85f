// SPDX-License-Identifier: GPL-2.0-or-later
// Life of a capture: its threads and how it ends. How memory is protected is in cow_arm.cpp, what happens to
// faults in cow_fault.cpp, to the rest of the memory in cow_copy.cpp.
#include <tlc/base/scheduling.hpp>
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

Status check(const GuestMemory& memory, const CaptureOptions& options) {
    if (!std::has_single_bit(options.cluster_bytes) || options.cluster_bytes < smallest_cluster ||
        options.cluster_bytes > largest_cluster)
        return fail(ErrorKind::usage, "cluster size {}: use a power of two from {} to {} bytes",
                    options.cluster_bytes, smallest_cluster, largest_cluster);
    if (options.fault_threads == 0 || options.sweep_threads == 0 || options.workers == 0)
        return fail(ErrorKind::usage, "a capture needs at least one fault, one sweep and one worker thread");
    for (const GuestBlock& b : memory.blocks())
        if (b.page_size > largest_cluster || !std::has_single_bit(b.page_size))
            return fail(ErrorKind::incompatible,
                        "RAM block {} has pages of {} bytes: back the VM's memory with pages of at most {}",
                        b.id, b.page_size, largest_cluster);
    return {};
}

} // namespace

CowCapture::CowCapture(GuestMemory memory, const CaptureOptions& options)
    : memory_(std::move(memory)), map_(memory_.blocks(), options.cluster_bytes), scratch_(make_scratch()),
      peer_fd_(options.peer_fd), adaptive_(options.adaptive), watch_(options.watch),
      sweep_threads_(options.sweep_threads), workers_(options.workers), bytes_total_(memory_.length()) {
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

Result<std::unique_ptr<CowCapture>> CowCapture::prepare(GuestMemory memory, const CaptureOptions& options) {
    TLC_TRY(check(memory, options));
    std::unique_ptr<CowCapture> capture(new CowCapture(std::move(memory), options));
    const uint64_t slot = capture->map_.largest();
    const uint64_t bytes = options.buffer != nullptr ? options.buffer->bytes().size() : options.buffer_bytes;
    const uint64_t slots = bytes / slot;
    if (slots < 2)
        return fail(ErrorKind::usage,
                    "the checkpoint buffer of {} bytes is too small: at least {} are needed", bytes,
                    2 * slot);
    // More slots than clusters would never be filled.
    const auto count = static_cast<uint32_t>(
        std::min<uint64_t>({slots, std::max<uint64_t>(2, capture->map_.total() + 1), UINT32_MAX}));
    capture->buffer_ = options.buffer;
    if (capture->buffer_ == nullptr) {
        TLC_TRY_ASSIGN(own, CaptureBuffer::create(count * slot));
        capture->own_buffer_ = std::move(own);
        capture->buffer_ = capture->own_buffer_.get();
    }
    capture->pool_.emplace(*capture->buffer_, count, slot);
    capture->ending_event_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!capture->ending_event_) return fail_errno(errno, "cannot make an eventfd");
    capture->start_threads(options);
    return capture;
}

CowCapture::~CowCapture() {
    if (threads_.empty()) return;
    stop({ErrorKind::failed, "the capture was given up"});
    end_threads();
}

void CowCapture::start_threads(const CaptureOptions& options) {
    // Signals are the main thread's.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    users_ = options.fault_threads + options.sweep_threads;
    for (unsigned i = 0; i < options.fault_threads; ++i)
        threads_.emplace_back([=, this] { run(Role::fault, i); });
    for (unsigned i = 0; i < options.sweep_threads; ++i)
        threads_.emplace_back([=, this] { run(Role::sweep, i); });
    for (unsigned i = 0; i < options.workers; ++i)
        threads_.emplace_back([=, this] { run(Role::worker, i); });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

CowCapture::Scratch CowCapture::make_scratch() const {
    const uint64_t pages = std::max(map_.largest(), stripe_bytes) / guest_page;
    Scratch scratch{FaultSpan(map_.smallest(), largest_small_page_span), {}, {}, {}};
    scratch.touched.resize(pages);
    scratch.parts.reserve(pages);
    scratch.slots.resize(stripe_bytes / smallest_cluster + 1);
    return scratch;
}

bool CowCapture::await_arming() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return armed_ || ending_; });
    return !ending_;
}

// Until there is something to do; false: there will be nothing any more.
bool CowCapture::await_turn(Role role, uint64_t& seen) {
    std::unique_lock lock(mutex_);
    const uint64_t& turns = role == Role::sweep ? sweep_turns_ : worker_turns_;
    changed_.wait(lock, [&] { return turns != seen || ending_; });
    return std::exchange(seen, turns) != turns;
}

void CowCapture::give_turn(Role role, unsigned threads) {
    const std::lock_guard lock(mutex_);
    if (ending_) return;
    ++(role == Role::sweep ? sweep_turns_ : worker_turns_);
    busy_ += threads;
    changed_.notify_all();
}

void CowCapture::run(Role role, unsigned index) {
    Scratch scratch = make_scratch();
    role == Role::fault ? answer_quickly() : work_in_background();
    if (role == Role::fault && await_arming()) serve_faults(scratch);
    for (uint64_t seen = 0; role != Role::fault && await_turn(role, seen);) {
        if (role == Role::sweep)
            sweep(scratch);
        else
            work(*sinks_[index]);
        const std::lock_guard lock(mutex_);
        --busy_;
        changed_.notify_all();
    }
    if (role != Role::worker) leave_userfaultfd();
}

// For the caller's thread, which is a user only during a call.
Status CowCapture::hold_userfaultfd() {
    const std::lock_guard lock(mutex_);
    if (error_) return tl::unexpected<Error>(*error_);
    if (users_ == 0) return fail("the capture has ended");
    ++users_;
    return {};
}

// The last user closes the descriptor: that sets the guest free, so it does not wait for wait().
void CowCapture::leave_userfaultfd() {
    {
        const std::lock_guard lock(mutex_);
        if (--users_ > 0) return;
    }
    userfaultfd_.reset();
}

Status CowCapture::arm(Fd userfaultfd, bool protects_unpopulated) {
    TLC_TRY(hold_userfaultfd());
    if (armed_) {
        leave_userfaultfd();
        return fail("a capture can be armed once");
    }
    userfaultfd_ = std::move(userfaultfd);
    if (auto ready = userfault::make_nonblocking(userfaultfd_.get()); !ready) stop(std::move(ready).error());
    {
        const std::lock_guard lock(mutex_);
        armed_ = true;
        changed_.notify_all();
    }
    if (!protects_unpopulated)
        if (auto done = memory_.populate(); !done) stop(std::move(done).error());
    leave_userfaultfd();
    return state();
}

Status CowCapture::begin(std::vector<PageSink*> sinks, bool everything) {
    if (!armed_ || begun_)
        return fail("a checkpoint begins after the capture was armed or the last one was complete");
    if (sinks.size() != workers_)
        return fail(ErrorKind::usage, "{} sinks for {} workers", sinks.size(), workers_);
    TLC_TRY(hold_userfaultfd());
    sinks_ = std::move(sinks);
    begun_ = true;
    for (auto* counter : {&pages_saved_, &pages_untouched_, &faults_, &exposed_bytes_, &clusters_by_fault_,
                          &clusters_by_sweep_})
        *counter = 0;
    bytes_total_ = memory_.length();
    next_stripe_ = 0;
    buffer_->wait();
    const auto steps = [&]() -> Status {
        if (worker_turns_ > 0) TLC_TRY(memory_.look_again());
        {
            const std::unique_lock lock(rules_mutex_);
            before_pause_ = true;
            pool_->open();
            TLC_TRY(register_again());
        }
        return protect(everything);
    };
    if (auto done = steps(); !done) stop(std::move(done).error());
    leave_userfaultfd();
    return state();
}

Status CowCapture::in_pause() {
    if (!begun_ || paused_) return fail("a checkpoint is paused for once, after it began");
    TLC_TRY(hold_userfaultfd());
    {
        const std::unique_lock lock(rules_mutex_);
        if (auto done = protect_exposed(); !done) stop(std::move(done).error());
        count_what_to_copy();
        before_pause_ = false;
        paused_ = true;
        give_turn(Role::worker, workers_); // before a fault thread can copy the last cluster
    }
    if (left_ == 0) all_copied();
    if (auto copied = copy_unprotectable(scratch_); !copied) stop(std::move(copied).error());
    leave_userfaultfd();
    return state();
}

Status CowCapture::state() {
    const std::lock_guard lock(mutex_);
    if (error_) return tl::unexpected<Error>(*error_);
    return {};
}

Result<CaptureCounters> CowCapture::wait() {
    // Without a pause there is no image.
    if (!paused_) stop({ErrorKind::failed, "the capture came to no pause"});
    // Only now: in the pause the processors are needed for what the VM waits for.
    give_turn(Role::sweep, sweep_threads_);
    {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return busy_ == 0; });
    }
    begun_ = paused_ = false;
    auto status = state();
    if (!status || !watch_) end_threads();
    TLC_TRY(status);
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

// Every cluster is copied: the workers empty the queue. Whoever does not watch is done with the guest.
void CowCapture::all_copied() {
    pool_->close();
    if (watch_) return;
    {
        const std::lock_guard lock(mutex_);
        ending_ = true;
        changed_.notify_all();
    }
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

void CowCapture::end_threads() {
    for (std::thread& t : threads_)
        t.join();
    threads_.clear();
}

} // namespace tlc
