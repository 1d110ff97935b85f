// SPDX-License-Identifier: GPL-2.0-or-later
// GuestMemory: the guest's RAM as it lies in another process (QEMU), read with process_vm_readv and
// /proc/PID/pagemap. Needs the same user (or privilege) and, under Yama, the peer's PR_SET_PTRACER.
// Lengths and addresses are bytes. Thread-safe after open() but for look_again(), beside which only huge()
// and reading are safe; every error of a read may mean that QEMU died.
#pragma once

#include <tlc/base/fd.hpp>
#include <tlc/capture/page_sink.hpp>

#include <sys/types.h>

#include <atomic>
#include <string>
#include <vector>

struct iovec;

namespace tlc {

struct GuestBlock {
    std::string id;            // for messages
    uint64_t host_address = 0; // in the other process
    uint64_t length = 0;       // used, a multiple of page_size
    uint64_t page_size = guest_page;
    bool protectable = true;     // false: no writes of the guest reach it (ROM)
    bool missing_faults = false; // registered for missing faults as well
};

class GuestMemory {
  public:
    static Result<GuestMemory> open(pid_t pid, std::vector<GuestBlock> blocks);

    const std::vector<GuestBlock>& blocks() const { return blocks_; }
    uint64_t length() const; // of all blocks
    // Most of the block lies in huge pages, or did when somebody looked last: cheapest to copy and to
    // protect in stretches of 2 MiB.
    bool huge(uint32_t block) const { return huge_[block]; }
    Status look_again();

    // Makes every page of the protectable blocks present, so that it can be write-protected: for a kernel
    // without UFFD_FEATURE_WP_UNPOPULATED, before the pause. Blocks with missing_faults do not need it.
    Status populate() const;

    // touched[i] = 1 when page first_page + i must be read. 0: never touched, so it is zero. Only private
    // anonymous memory has such pages: elsewhere a page without a page table entry may have contents.
    Status touched(uint32_t block, uint64_t first_page, std::span<uint8_t> touched) const;

    // Reads bytes from an offset of a block into the local parts.
    struct Part {
        uint64_t offset;
        uint64_t length;
        std::byte* to;
    };
    Status read(uint32_t block, std::span<const Part> parts) const;

  private:
    GuestMemory(pid_t pid, std::vector<GuestBlock> blocks, Fd pagemap)
        : pid_(pid), blocks_(std::move(blocks)), anonymous_(blocks_.size()), huge_(blocks_.size()),
          pagemap_(std::move(pagemap)) {}
    struct Seen {               // of a block's mappings
        uint64_t anonymous = 0; // bytes
        uint64_t present = 0;   // KiB
        uint64_t in_huge = 0;
    };
    Result<std::vector<Seen>> look_at_mappings() const;
    Status transfer(std::span<const iovec> local, std::span<const iovec> remote, size_t bytes,
                    const GuestBlock& block) const;

    pid_t pid_;
    std::vector<GuestBlock> blocks_;
    std::vector<bool> anonymous_; // a block each
    std::vector<std::atomic<bool>> huge_;
    Fd pagemap_;
};

} // namespace tlc
