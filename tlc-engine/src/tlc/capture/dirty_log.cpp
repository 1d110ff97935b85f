// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/capture/dirty_log.hpp>

#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

namespace tlc {

namespace {
uint64_t words_of(const GuestBlock& block) { return (block.length / guest_page + 63) / 64; }
} // namespace

uint64_t DirtyBitmap::bytes_for(const std::vector<GuestBlock>& blocks) {
    uint64_t words = 0;
    for (const GuestBlock& b : blocks)
        words += words_of(b);
    return words * sizeof(uint64_t);
}

Result<DirtyBitmap> DirtyBitmap::map(const Fd& memory, const std::vector<GuestBlock>& blocks) {
    const uint64_t bytes = bytes_for(blocks);
    struct stat status {};
    if (::fstat(memory.get(), &status) != 0) return fail_errno(errno, "cannot look at the dirty bitmap");
    if (static_cast<uint64_t>(status.st_size) != bytes)
        return fail("the dirty bitmap has {} bytes instead of {}", status.st_size, bytes);
    void* base = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory.get(), 0);
    if (base == MAP_FAILED) return fail_errno(errno, "cannot map the dirty bitmap");
    std::vector<uint64_t> first{0};
    std::vector<uint64_t> pages;
    for (const GuestBlock& b : blocks) {
        first.push_back(first.back() + words_of(b));
        pages.push_back(b.length / guest_page);
    }
    return DirtyBitmap(base, std::move(first), std::move(pages));
}

DirtyBitmap::DirtyBitmap(DirtyBitmap&& other) noexcept
    : base_(std::exchange(other.base_, nullptr)), first_(std::move(other.first_)),
      pages_(std::move(other.pages_)) {}

DirtyBitmap::~DirtyBitmap() {
    if (base_ != nullptr) ::munmap(base_, first_.back() * sizeof(uint64_t));
}

uint64_t DirtyBitmap::take(uint32_t block, uint64_t word) {
    uint64_t* at = static_cast<uint64_t*>(base_) + first_[block] + word;
    const std::atomic_ref<uint64_t> bits(*at);
    if (bits.load(std::memory_order_relaxed) == 0) return 0;
    const uint64_t taken = bits.exchange(0);
    const uint64_t rest = pages_[block] - 64 * word;
    return rest >= 64 ? taken : taken & ((uint64_t{1} << rest) - 1);
}

} // namespace tlc
