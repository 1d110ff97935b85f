// SPDX-License-Identifier: GPL-2.0-or-later
// What the threads of a capture do: faults, sweep, copying, delivery.
//
// A cluster goes untouched -> claimed -> saved, and only its claimer copies it, lifts its protection and
// marks it saved, in this order. Nobody waits for a buffer slot while holding a claim, so a claim is short.
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
// either queued in time to be woken or sees the page writable. This makes it right to do nothing for a write
// fault on a cluster claimed by someone else: its lift is still to come, or it came and nobody sleeps.
// A missing page is another matter: the lift wakes that thread too, but the page is still missing and the
// fault comes again, perhaps after the lift. It is filled, and only after the cluster is saved: the claimer
// takes a page that is not there for zero, and must not find one there that the guest may write.
Status CowCapture::serve(const userfault::Fault& fault, Scratch& scratch) {
    TLC_TRY_ASSIGN(exposed, expose(fault));
    if (exposed) return {};
    const auto run = map_.find(fault.address);
    if (!run) return fail("fault at {:#x}, outside of every RAM block", fault.address);
    while (!ending_) {
        const ClusterState state = map_.state(run->block, run->first);
        if (state == ClusterState::untouched) {
            TLC_TRY(copy_around(*run, scratch));
            if (!fault.missing) return {};
        } else if (state == ClusterState::saved) {
            return let_through(fault, *run);
        } else if (fault.missing || state == ClusterState::exposed) {
            std::this_thread::yield();
        } else {
            return {};
        }
    }
    return {};
}

// The writer may go on: what it writes to is not needed any more.
Status CowCapture::let_through(const userfault::Fault& fault, const ClusterRun& run) {
    const GuestBlock& block = memory_.blocks()[run.block];
    const uint64_t page = fault.address / block.page_size * block.page_size;
    if (!fault.missing) return userfault::lift(userfaultfd_.get(), page, block.page_size);
    const uint64_t end = block.host_address + map_.offset(run) + map_.length(run);
    return userfault::fill_zero(userfaultfd_.get(), page, end - page, block.page_size);
}

// Copies the cluster of a fault and, where that is cheaper, its untouched neighbours. A huge page is taken
// whole even if that means to wait for the buffer: split, it would cost more in every later checkpoint.
Status CowCapture::copy_around(const ClusterRun& run, Scratch& scratch) {
    ClusterRun bounds = run;
    if (adaptive_) {
        const uint64_t span =
            memory_.huge(run.block) ? largest_cluster : scratch.span.next(FaultSpan::Clock::now());
        bounds = map_.stretch(run, span);
    }
    const uint64_t most = std::min<uint64_t>(bounds.count, std::max(1U, pool_->count() / 4));
    const auto slots = std::span(scratch.slots).first(most);
    if (!pool_->acquire_for_fault(slots)) return {};
    const ClusterRun claimed = map_.claim_around(run, bounds, most);
    if (claimed.count == 0) {
        pool_->release(slots);
        return {};
    }
    const auto touched = std::span(scratch.touched).first(map_.length(claimed) / guest_page);
    TLC_TRY(memory_.touched(claimed.block, map_.offset(claimed) / guest_page, touched));
    clusters_by_fault_ += claimed.count;
    return copy(claimed, touched, slots, scratch);
}

void CowCapture::sweep(Scratch& scratch) {
    while (!ending_) {
        const size_t i = next_stripe_++;
        if (i >= stripes_.size()) return;
        if (auto swept = sweep_stripe(stripes_[i], scratch); !swept) return stop(std::move(swept).error());
    }
}

// Which pages are there is looked up before the claim: as long as a cluster is untouched it is protected and
// its missing pages stay missing, so what was seen still holds when the claim succeeds. Slots come before the
// claim.
Status CowCapture::sweep_stripe(const ClusterRun& stripe, Scratch& scratch) {
    const uint32_t block = stripe.block;
    const uint64_t each = map_.cluster_bytes(block) / guest_page;
    const uint64_t end = stripe.first + stripe.count;
    const auto touched = std::span(scratch.touched).first(map_.length(stripe) / guest_page);
    TLC_TRY(memory_.touched(block, map_.offset(stripe) / guest_page, touched));
    const auto pages_of = [&](uint64_t from, uint64_t to) {
        const uint64_t begin = (from - stripe.first) * each;
        return touched.subspan(begin, std::min((to - stripe.first) * each, touched.size()) - begin);
    };
    const auto needs_slot = [&](uint64_t cluster) {
        const auto pages = pages_of(cluster, cluster + 1);
        return std::find(pages.begin(), pages.end(), 1) != pages.end();
    };
    for (uint64_t first = stripe.first; first < end && !ending_;) {
        size_t wanted = 0;
        uint64_t last = first;
        for (; last < end && map_.state(block, last) == ClusterState::untouched; ++last)
            wanted += needs_slot(last);
        if (last == first) {
            ++first;
            continue;
        }
        std::span<uint32_t> slots;
        if (wanted > 0) {
            slots = std::span(scratch.slots).first(wanted);
            slots = slots.first(pool_->acquire_for_sweep(slots, memory_.huge(block) ? wanted : 1));
            if (slots.empty()) return {};
        }
        size_t used = 0;
        uint64_t next = first;
        for (; next < last; ++next) {
            const bool slot = needs_slot(next);
            if ((slot && used == slots.size()) || !map_.claim(block, next)) break;
            used += slot;
        }
        pool_->release(slots.subspan(used));
        if (next == first) {
            ++first;
            continue;
        }
        clusters_by_sweep_ += next - first;
        TLC_TRY(copy({block, first, next - first}, pages_of(first, next), slots.first(used), scratch));
        first = next;
    }
    return {};
}

// In the pause, since nothing would tell if they changed later.
Status CowCapture::copy_unprotectable(Scratch& scratch) {
    for (uint32_t block = 0; block < memory_.blocks().size(); ++block) {
        if (memory_.blocks()[block].protectable) continue;
        for (uint64_t cluster = 0; cluster < map_.clusters(block) && !ending_; ++cluster)
            TLC_TRY(sweep_stripe({block, cluster, 1}, scratch));
    }
    return {};
}

// Copies claimed clusters: those with touched pages into slots, in order, one each.
Status CowCapture::copy(const ClusterRun& run, std::span<const uint8_t> touched,
                        std::span<const uint32_t> slots, Scratch& scratch) {
    const GuestBlock& block = memory_.blocks()[run.block];
    const uint64_t each = map_.cluster_bytes(run.block) / guest_page;
    const uint64_t first_page = map_.offset(run) / guest_page;
    size_t used = 0;
    scratch.parts.clear();
    for (uint64_t begin = 0; begin < touched.size(); begin += each) {
        const auto pages = touched.subspan(begin, std::min(each, touched.size() - begin));
        auto from = std::find(pages.begin(), pages.end(), 1);
        if (from == pages.end()) continue;
        Slot& slot = (*pool_)[slots[used++]];
        slot.block = run.block;
        slot.first_page = first_page + begin;
        slot.pages = static_cast<uint32_t>(pages.size());
        std::copy(pages.begin(), pages.end(), slot.touched.begin());
        while (from != pages.end()) {
            const auto to = std::find(from, pages.end(), 0);
            const auto at = static_cast<uint64_t>(from - pages.begin());
            scratch.parts.push_back({(slot.first_page + at) * guest_page,
                                     static_cast<uint64_t>(to - from) * guest_page,
                                     slot.data + at * guest_page});
            from = std::find(to, pages.end(), 1);
        }
    }
    if (used > 0) {
        TLC_TRY(memory_.read(run.block, scratch.parts));
        if (block.protectable)
            TLC_TRY(
                userfault::lift(userfaultfd_.get(), block.host_address + map_.offset(run), map_.length(run)));
    }
    // Filled slots are queued before the clusters count as saved: the last one closes the queue.
    for (const uint32_t slot : slots.first(used))
        pool_->push(slot);
    pool_->release(slots.subspan(used));
    pages_untouched_ += static_cast<uint64_t>(std::count(touched.begin(), touched.end(), 0));
    if (map_.set_saved(run)) finish();
    return {};
}

void CowCapture::work(PageSink& sink) {
    while (const auto slot = pool_->pop()) {
        if (auto delivered = deliver(sink, (*pool_)[*slot]); !delivered)
            return stop(std::move(delivered).error());
        pool_->release(*slot);
    }
}

Status CowCapture::deliver(PageSink& sink, const Slot& slot) {
    constexpr uint32_t most = sink_bytes / guest_page;
    for (uint32_t from = 0; from < slot.pages;) {
        if (slot.touched[from] == 0) {
            ++from;
            continue;
        }
        uint32_t to = from + 1;
        while (to < slot.pages && to - from < most && slot.touched[to] != 0)
            ++to;
        TLC_TRY(sink.pages(slot.block, slot.first_page + from,
                           {slot.data + from * guest_page, (to - from) * guest_page}));
        pages_saved_ += to - from;
        from = to;
    }
    return {};
}

} // namespace tlc
