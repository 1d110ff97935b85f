// SPDX-License-Identifier: GPL-2.0-or-later
// The userfaultfd operations that capture and restore need, on a descriptor of another process' memory.
// Stateless and thread-safe. Addresses are QEMU's, lengths bytes and multiples of the page size.
#pragma once

#include <tlc/base/result.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace tlc::userfault {

struct Fault {
    uint64_t address = 0;
    bool missing = false; // a page that is not there; otherwise a write to a protected page
};

// Takes O_NONBLOCK on, which poll(2) on a userfaultfd needs.
Status make_nonblocking(int fd);

// The next fault, nothing when none is waiting. QEMU enables no other kind of event; one is an error.
Result<std::optional<Fault>> next(int fd);

// Write-protects what is there of a range (pages that are not there are left alone or marked, as the
// descriptor's features say). The range may lie in several mappings, with borders at multiples of 2 MiB.
Status protect(int fd, uint64_t address, uint64_t length);

// Ends write protection and wakes whoever waits in the range.
Status lift(int fd, uint64_t address, uint64_t length);

// Registers a range for write protection and missing pages.
Status register_range(int fd, uint64_t address, uint64_t length);
// No longer for either, and wakes whoever waits in it. False when that would make too many mappings.
Result<bool> unregister_range(int fd, uint64_t address, uint64_t length);

// Puts pages where none are and wakes whoever waits for them. `data` is whole pages of 4096 bytes. A page
// that is there already is an error: it was never to be.
Status fill(int fd, uint64_t address, std::span<const std::byte> data);
// Wakes whoever waits in a range; those who still find no page come again.
Status wake(int fd, uint64_t address, uint64_t length);

// Maps zero pages from address on, at most length, up to the first page that is there, and wakes whoever
// waits in the page at address.
Status fill_zero(int fd, uint64_t address, uint64_t length, uint64_t page_size);

} // namespace tlc::userfault
