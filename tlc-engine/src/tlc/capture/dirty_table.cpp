// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/capture/dirty_table.hpp>

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>

namespace tlc {

Result<std::unique_ptr<DirtyTable>> DirtyTable::create(uint64_t bytes) {
    const uint64_t capacity = bytes / guest_page;
    if (capacity == 0 || capacity > UINT32_MAX)
        return fail(ErrorKind::usage, "a checkpoint buffer of {} bytes cannot be used", bytes);
    void* memory = ::mmap(nullptr, capacity * guest_page, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (memory == MAP_FAILED)
        return fail_errno(errno, fmt::format("cannot allocate the checkpoint buffer of {} bytes", bytes));
    return std::unique_ptr<DirtyTable>(new DirtyTable(static_cast<std::byte*>(memory), capacity));
}

DirtyTable::DirtyTable(std::byte* memory, size_t capacity) : memory_(memory), capacity_(capacity) {
    free_.reserve(capacity);
    for (size_t i = capacity; i-- > 0;)
        free_.push_back(static_cast<uint32_t>(i));
    newest_.reserve(capacity);
}

DirtyTable::~DirtyTable() { ::munmap(memory_, capacity_ * guest_page); }

std::byte* DirtyTable::place(uint32_t block, uint64_t page, bool replace) {
    const auto [at, added] = newest_.try_emplace(key(block, page), 0);
    if (added || !replace) {
        at->second = free_.back();
        free_.pop_back();
        order_.push_back({block, page, at->second});
        peak_ = std::max(peak_, order_.size());
    }
    return memory_ + at->second * guest_page;
}

void DirtyTable::drop_oldest() {
    const Entry entry = order_.front();
    order_.pop_front();
    free_.push_back(entry.slot);
    const auto at = newest_.find(key(entry.block, entry.page));
    if (at != newest_.end() && at->second == entry.slot) newest_.erase(at);
}

} // namespace tlc
