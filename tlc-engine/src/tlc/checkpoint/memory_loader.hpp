// SPDX-License-Identifier: GPL-2.0-or-later
// Writes pages of an image into another process' memory. Prerequisite: that memory reads as zeros and the
// process lets us (same user and its PR_SET_PTRACER). Chunks are read, checked and written by several
// threads.
#pragma once

#include <tlc/image/reader.hpp>

#include <sys/types.h>

#include <atomic>

namespace tlc {

// Where a RAM block of the image lies in QEMU.
struct MemoryPlace {
    uint64_t address = 0;
    bool watched = false; // a userfaultfd covers it
};

// places: one a block of the image, in its order. Those that are watched are left out. `pages` counts what is
// done.
Status write_memory(pid_t pid, const ImageReader& image, const std::vector<MemoryPlace>& places,
                    std::atomic<uint64_t>& pages);

} // namespace tlc
