// SPDX-License-Identifier: GPL-2.0-or-later
// What happens to a fault of the guest, before, during and between checkpoints.
#include <tlc/capture/cow_capture.hpp>

#include <algorithm>
#include <cerrno>
#include <poll.h>

namespace tlc {

void CowCapture::serve_faults(Scratch& scratch) {
    pollfd entries[] = {
        {ending_event_.get(), POLLIN, 0}, {userfaultfd_.get(), POLLIN, 0}, {peer_fd_, POLLRDHUP, 0}};
    while (!ending_) {
        if (::poll(entries, 3, -1) < 0 && errno != EINTR) {
            auto error = fail_errno(errno, "poll of the userfaultfd");
            return stop(std::move(error).value());
        }
        if (entries[2].revents != 0)
            return stop({ErrorKind::failed, "QEMU has closed the channel: it has ended or given up"});
        while (!ending_ && entries[1].revents != 0) {
            auto fault = userfault::next(userfaultfd_.get());
            if (!fault) return stop(std::move(fault).error());
            if (!*fault) break;
            ++faults_;
            if (auto served = serve(**fault, scratch); !served) return stop(std::move(served).error());
        }
    }
}

// Can a wake-up be lost? The kernel queues the faulting thread, then looks at the page again, and only then
// lets it sleep; a lift changes the page first and wakes the queue second. So a thread that meets a lift is
// either queued in time to be woken or sees the page writable. A write fault on a cluster claimed by someone
// else is left to the claimer, which is told that the cluster is wanted and lifts it.
// A missing page is another matter: the lift wakes that thread too, but the page is still missing and the
// fault comes again, perhaps after the lift. It is filled, and only after the cluster is copied: the claimer
// takes a page that is not there for zero, and must not find one there that the guest may write.
Status CowCapture::serve(const userfault::Fault& fault, Scratch& scratch) {
    const std::shared_lock lock(rules_mutex_);
    if (before_pause_) return expose(fault);
    const auto run = map_.find(fault.address);
    if (!run) return fail("fault at {:#x}, outside of every RAM block", fault.address);
    while (!ending_) {
        switch (map_.state(run->block, run->first)) {
        case ClusterState::untouched: {
            TLC_TRY_ASSIGN(copied, copy_around(*run, scratch));
            if (copied && !fault.missing) return {};
            break;
        }
        case ClusterState::claimed:
            if (fault.missing)
                std::this_thread::yield();
            else if (map_.change(run->block, run->first, ClusterState::claimed, ClusterState::wanted))
                return {};
            break;
        case ClusterState::clean:
            if (!fault.missing) return lift_clean(*run, scratch);
            return admit_missing(fault, *run);
        case ClusterState::dirty:
            return fault.missing ? admit_missing(fault, *run) : let_through(*run);
        default: // wanted; nothing is exposed after the pause
            if (!fault.missing) return {};
            std::this_thread::yield();
        }
    }
    return {};
}

// A second thread that wrote to what is lifted by now, or a page that was missing when its cluster was
// lifted. Lifting a part of a huge page would split it.
Status CowCapture::let_through(const ClusterRun& run) {
    ClusterRun area = run;
    if (memory_.huge(run.block))
        if (const auto stretch = map_.stretch(run, largest_cluster); map_.all(stretch, ClusterState::dirty))
            area = stretch;
    return userfault::lift(userfaultfd_.get(), address(area), map_.length(area));
}

// What to take for one fault: where that is cheaper, neighbours too.
ClusterRun CowCapture::around(const ClusterRun& run, Scratch& scratch) const {
    if (!adaptive_) return run;
    return map_.stretch(run, memory_.huge(run.block) ? largest_cluster
                                                     : scratch.span.next(FaultSpan::Clock::now()));
}

// The first write since the last checkpoint.
Status CowCapture::lift_clean(const ClusterRun& run, Scratch& scratch) {
    const ClusterRun bounds = around(run, scratch);
    const ClusterRun lifted =
        map_.change_around(run, bounds, bounds.count, ClusterState::clean, ClusterState::dirty);
    if (lifted.count == 0) return let_through(run); // another thread was faster
    return userfault::lift(userfaultfd_.get(), address(lifted), map_.length(lifted));
}

Status CowCapture::fill_zero(const userfault::Fault& fault, const ClusterRun& run) {
    const uint64_t page_size = memory_.blocks()[run.block].page_size;
    const uint64_t page = fault.address / page_size * page_size;
    return userfault::fill_zero(userfaultfd_.get(), page, address(run) + map_.length(run) - page, page_size);
}

// A page that was never there, of a cluster whose content for this checkpoint is known.
Status CowCapture::admit_missing(const userfault::Fault& fault, const ClusterRun& run) {
    const std::lock_guard lock(unregistered_mutex_); // a range can be filled as long as it is registered
    TLC_TRY_ASSIGN(left, leave_to_kernel(run));
    if (left) return {};
    map_.change(run.block, run.first, ClusterState::clean, ClusterState::dirty);
    return fill_zero(fault, run);
}

// Zero pages put in by us are small ones. Where a whole stretch is still empty the kernel fills it, until the
// next checkpoint, so that the guest gets a huge page there, and no further faults. Each such stretch may
// split a mapping of QEMU, so there are not too many.
Result<bool> CowCapture::leave_to_kernel(const ClusterRun& run) {
    constexpr size_t most = 4096;
    const ClusterRun stretch = map_.stretch(run, largest_cluster);
    if (!watch_ || map_.length(stretch) != largest_cluster ||
        map_.cluster_bytes(run.block) == largest_cluster)
        return false;
    if (unregistered_.contains({stretch.block, stretch.first})) return true; // it was woken, too
    if (unregistered_.size() >= most) return false;
    std::array<uint8_t, largest_cluster / guest_page> touched{};
    TLC_TRY(memory_.touched(stretch.block, map_.offset(stretch) / guest_page, touched));
    if (std::find(touched.begin(), touched.end(), 1) != touched.end()) return false;
    for (uint64_t i = 0; i < stretch.count; ++i) {
        const auto state = map_.state(stretch.block, stretch.first + i);
        if (state != ClusterState::clean && state != ClusterState::dirty) return false;
    }
    map_.set(stretch, ClusterState::dirty);
    TLC_TRY_ASSIGN(done,
                   userfault::unregister_range(userfaultfd_.get(), address(stretch), map_.length(stretch)));
    if (done) unregistered_.insert({stretch.block, stretch.first});
    return done;
}

// Copies the cluster of a fault and its untouched neighbours; false when it was claimed by somebody else. A
// huge page is taken whole even if that means to wait for the buffer: split, it would cost more in every
// later checkpoint.
Result<bool> CowCapture::copy_around(const ClusterRun& run, Scratch& scratch) {
    const ClusterRun bounds = around(run, scratch);
    const uint64_t most = std::min<uint64_t>(bounds.count, std::max(1U, pool_->count() / 4));
    const auto slots = std::span(scratch.slots).first(most);
    if (!pool_->acquire_for_fault(slots)) return false;
    const ClusterRun claimed =
        map_.change_around(run, bounds, most, ClusterState::untouched, ClusterState::claimed);
    if (claimed.count == 0) {
        pool_->release(slots);
        return false;
    }
    const auto touched = std::span(scratch.touched).first(map_.length(claimed) / guest_page);
    TLC_TRY(memory_.touched(claimed.block, map_.offset(claimed) / guest_page, touched));
    clusters_by_fault_ += claimed.count;
    TLC_TRY(copy(claimed, touched, slots, true, scratch));
    return true;
}

} // namespace tlc
