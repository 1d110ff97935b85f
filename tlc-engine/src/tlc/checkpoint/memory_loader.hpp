// SPDX-License-Identifier: GPL-2.0-or-later
// Writes the pages of an image into another process' memory. Prerequisite: that memory reads as zeros and the
// process lets us (same user and its PR_SET_PTRACER). Chunks are read, checked and written by several
// threads.
#pragma once

#include <tlc/channel/messages.hpp>
#include <tlc/image/reader.hpp>

#include <sys/types.h>

#include <atomic>

namespace tlc {

// `addresses`: where each block of the image begins in the process. `pages` counts what is done.
Status write_memory(pid_t pid, const ImageReader& image, const std::vector<uint64_t>& addresses,
                    std::atomic<uint64_t>& pages);

} // namespace tlc
