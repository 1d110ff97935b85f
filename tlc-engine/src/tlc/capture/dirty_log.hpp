// SPDX-License-Identifier: GPL-2.0-or-later
// The record of pages a running VM writes. DirtyLog is whoever keeps it (QEMU); DirtyBitmap is the memory in
// which it arrives: one bit a guest page, blocks in HELLO's order, each from a 64-bit word on. QEMU only sets
// bits, we only take them, both atomically.
#pragma once

#include <tlc/base/fd.hpp>
#include <tlc/capture/guest_memory.hpp>

#include <atomic>
#include <cstdint>
#include <vector>

namespace tlc {

class DirtyLog {
  public:
    virtual ~DirtyLog() = default;
    // Moves what was recorded since the last time into the bitmap. A page written since then has its bit set
    // now; a page written while this runs has it set now or the next time. With `hold` the VM is stopped
    // first and stays so until release().
    virtual Status sync(bool hold) = 0;
    virtual Status release() = 0;
};

class DirtyBitmap {
  public:
    // Bytes of the bitmap for these blocks.
    static uint64_t bytes_for(const std::vector<GuestBlock>& blocks);
    // Maps a memfd of exactly that many bytes.
    static Result<DirtyBitmap> map(const Fd& memory, const std::vector<GuestBlock>& blocks);
    DirtyBitmap(DirtyBitmap&& other) noexcept;
    DirtyBitmap& operator=(DirtyBitmap&&) = delete;
    ~DirtyBitmap();

    uint64_t words(uint32_t block) const { return first_[block + 1] - first_[block]; }
    // Takes the bits of 64 pages from page 64 * word on; bit i is page 64 * word + i. Bits beyond the block's
    // end are left out. Thread-safe.
    uint64_t take(uint32_t block, uint64_t word);

  private:
    DirtyBitmap(void* base, std::vector<uint64_t> first, std::vector<uint64_t> pages)
        : base_(base), first_(std::move(first)), pages_(std::move(pages)) {}

    void* base_;
    std::vector<uint64_t> first_; // word of each block, and the end
    std::vector<uint64_t> pages_;
};

} // namespace tlc
