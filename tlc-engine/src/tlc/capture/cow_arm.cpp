// SPDX-License-Identifier: GPL-2.0-or-later
// Write protection before and in the pause.
//
// Changing the protection of a page costs something for each page table entry, tens of milliseconds a GiB in
// small pages, so it is done while the VM runs. What the VM writes in the meantime is let through and noted
// cluster by cluster ("exposed"); in the pause only that is protected again. When QEMU says that the VM
// stands still no thread of the guest waits in a fault, but one of ours may still be busy with a fault it
// served: the lock makes sure that nobody lifts protection for a fault before the pause any more.
#include <tlc/capture/cow_capture.hpp>

#include <algorithm>

namespace tlc {

namespace {
// One call holds up page faults of the guest only briefly.
constexpr uint64_t protect_bytes = uint64_t{32} << 20;
} // namespace

Status CowCapture::protect_all() {
    for (const GuestBlock& block : memory_.blocks()) {
        if (!block.protectable) continue;
        const uint64_t step = std::max(protect_bytes, block.page_size);
        for (uint64_t offset = 0; offset < block.length && !ending_; offset += step)
            TLC_TRY(userfault::protect(userfaultfd_.get(), block.host_address + offset,
                                       std::min(step, block.length - offset)));
    }
    return {};
}

// Lets a fault before the pause through; false: it came in or after the pause.
Result<bool> CowCapture::expose(const userfault::Fault& fault) {
    const std::shared_lock lock(pause_mutex_);
    if (in_pause_) return false;
    const auto one = map_.find(fault.address);
    if (!one) return fail("fault at {:#x}, outside of every RAM block", fault.address);
    const GuestBlock& block = memory_.blocks()[one->block];
    ClusterRun run = *one;
    if (!fault.missing && adaptive_ && memory_.huge(run.block)) run = map_.stretch(run, largest_cluster);
    map_.set(run, ClusterState::exposed);
    if (fault.missing) {
        TLC_TRY(let_through(fault, *one));
    } else {
        TLC_TRY(userfault::lift(userfaultfd_.get(), block.host_address + map_.offset(run), map_.length(run)));
    }
    return true;
}

Status CowCapture::protect_exposed() {
    {
        const std::unique_lock lock(pause_mutex_);
        in_pause_ = true;
    }
    for (uint32_t block = 0; block < memory_.blocks().size(); ++block) {
        const GuestBlock& b = memory_.blocks()[block];
        for (uint64_t from = 0; from < map_.clusters(block);) {
            const ClusterRun run = map_.next_exposed(block, from);
            from = run.first + run.count;
            if (run.count == 0) continue;
            TLC_TRY(
                userfault::protect(userfaultfd_.get(), b.host_address + map_.offset(run), map_.length(run)));
            map_.set(run, ClusterState::untouched);
            exposed_bytes_ += map_.length(run);
        }
    }
    return {};
}

} // namespace tlc
