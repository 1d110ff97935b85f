// SPDX-License-Identifier: GPL-2.0-or-later
// Write protection before and in the pause.
//
// Changing the protection of a page costs something for each page table entry, tens of milliseconds a GiB in
// small pages, so it is done while the VM runs. What the VM writes in the meantime is let through and noted
// cluster by cluster ("exposed"); in the pause only that is protected again. When QEMU says that the VM
// stands still no thread of the guest waits in a fault, but one of ours may still be busy with a fault it
// read before: the lock makes sure that nobody lifts protection for a fault before the pause any more.
#include <tlc/capture/cow_capture.hpp>

#include <algorithm>

namespace tlc {

namespace {
// One call holds up page faults of the guest only briefly.
constexpr uint64_t protect_bytes = uint64_t{32} << 20;
} // namespace

// A cluster is noted as protected before it is: a fault in between finds it so and exposes it.
Status CowCapture::protect(bool everything) {
    for (uint32_t block = 0; block < memory_.blocks().size(); ++block) {
        if (!memory_.blocks()[block].protectable) continue;
        const uint64_t most = std::max<uint64_t>(1, protect_bytes / map_.cluster_bytes(block));
        for (uint64_t from = 0; from < map_.clusters(block) && !ending_;) {
            const ClusterRun dirty = map_.next(block, from, ClusterState::dirty, most);
            const ClusterRun run = map_.change_around({block, dirty.first, 1}, dirty, dirty.count,
                                                      ClusterState::dirty, ClusterState::untouched);
            from = dirty.first + std::max<uint64_t>(run.count, 1);
            if (run.count > 0)
                TLC_TRY(userfault::protect(userfaultfd_.get(), address(run), map_.length(run)));
        }
        for (uint64_t cluster = 0; everything && cluster < map_.clusters(block); ++cluster)
            map_.change(block, cluster, ClusterState::clean, ClusterState::untouched);
    }
    return {};
}

// A fault before the pause: let through and noted.
Status CowCapture::expose(const userfault::Fault& fault) {
    const auto one = map_.find(fault.address);
    if (!one) return fail("fault at {:#x}, outside of every RAM block", fault.address);
    ClusterRun run = *one;
    if (!fault.missing && adaptive_ && memory_.huge(run.block)) run = map_.stretch(run, largest_cluster);
    map_.set(run, ClusterState::exposed);
    if (fault.missing) return fill_zero(fault, run);
    return userfault::lift(userfaultfd_.get(), address(run), map_.length(run));
}

Status CowCapture::protect_exposed() {
    for (uint32_t block = 0; block < memory_.blocks().size(); ++block) {
        if (!memory_.blocks()[block].protectable) continue;
        for (uint64_t from = 0; from < map_.clusters(block);) {
            const ClusterRun run = map_.next(block, from, ClusterState::exposed);
            from = run.first + run.count;
            if (run.count == 0) continue;
            TLC_TRY(userfault::protect(userfaultfd_.get(), address(run), map_.length(run)));
            map_.set(run, ClusterState::untouched);
            exposed_bytes_ += map_.length(run);
        }
    }
    return {};
}

void CowCapture::count_what_to_copy() {
    uint64_t clusters = 0;
    uint64_t bytes = 0;
    for (uint32_t block = 0; block < memory_.blocks().size(); ++block) {
        if (!memory_.blocks()[block].protectable)
            map_.set({block, 0, map_.clusters(block)}, ClusterState::untouched);
        for (uint64_t from = 0; from < map_.clusters(block);) {
            const ClusterRun run = map_.next(block, from, ClusterState::untouched);
            from = run.first + run.count;
            if (run.count == 0) continue;
            clusters += run.count;
            bytes += map_.length(run);
        }
    }
    left_ = clusters;
    bytes_total_ = bytes;
}

// Neighbours together: each call holds up everything that changes QEMU's mappings.
Status CowCapture::register_again() {
    const std::lock_guard lock(unregistered_mutex_);
    for (auto next = unregistered_.begin(); next != unregistered_.end();) {
        const auto [block, first] = *next;
        ClusterRun run = map_.stretch({block, first, 1}, largest_cluster);
        while (++next != unregistered_.end() && next->first == block && next->second == run.first + run.count)
            run.count += map_.stretch({block, next->second, 1}, largest_cluster).count;
        TLC_TRY(userfault::register_range(userfaultfd_.get(), address(run), map_.length(run)));
    }
    unregistered_.clear();
    return {};
}

} // namespace tlc
