// SPDX-License-Identifier: GPL-2.0-or-later
// Copying: the sweep over what no fault has asked for, and the workers that empty the buffer.
//
// A cluster goes untouched -> claimed -> clean or dirty, and only its claimer copies it and settles its
// protection, in this order. Nobody waits for a buffer slot while holding a claim, so a claim is short.
#include <tlc/capture/cow_capture.hpp>

#include <algorithm>
#include <array>

namespace tlc {

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
    if (!map_.any(stripe, ClusterState::untouched)) return {};
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
        TLC_TRY(copy({block, first, next - first}, pages_of(first, next), slots.first(used), false, scratch));
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
                        std::span<const uint32_t> slots, bool for_fault, Scratch& scratch) {
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
    if (used > 0) TLC_TRY(memory_.read(run.block, scratch.parts));
    TLC_TRY(settle(run, watch_ && !for_fault, used > 0));
    // Filled slots are queued before the clusters count as copied: the last one closes the queue.
    pool_->push(slots.first(used));
    pool_->release(slots.subspan(used));
    pages_untouched_ += static_cast<uint64_t>(std::count(touched.begin(), touched.end(), 0));
    if (left_.fetch_sub(run.count) == run.count) all_copied();
    return {};
}

// Protection is kept only where no writer waits. Where nothing was there, nothing is protected.
Status CowCapture::settle(const ClusterRun& run, bool keep_protected, bool was_there) {
    if (!memory_.blocks()[run.block].protectable) {
        map_.set(run, ClusterState::dirty);
        return {};
    }
    bool wanted = false;
    for (uint64_t i = 0; keep_protected && i < run.count; ++i)
        wanted |= !map_.change(run.block, run.first + i, ClusterState::claimed, ClusterState::clean);
    if (keep_protected && !wanted) return {};
    if (was_there) TLC_TRY(userfault::lift(userfaultfd_.get(), address(run), map_.length(run)));
    map_.set(run, ClusterState::dirty);
    return {};
}

void CowCapture::work(PageSink& sink) {
    // Few at a time: others shall have some, and the guest may wait for their room.
    std::array<uint32_t, 8> slots{};
    while (const size_t count = pool_->pop(slots)) {
        for (size_t i = 0; i < count; ++i)
            if (auto delivered = deliver(sink, (*pool_)[slots[i]]); !delivered)
                return stop(std::move(delivered).error());
        pool_->release(std::span(slots).first(count));
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
