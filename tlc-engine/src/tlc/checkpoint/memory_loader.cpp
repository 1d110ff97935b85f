// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/checkpoint/memory_loader.hpp>

#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <thread>

namespace tlc {
namespace {

Status write_vectors(pid_t pid, std::vector<iovec> from, std::vector<iovec> to) {
    size_t first = 0;
    while (first < to.size()) {
        const ssize_t n = ::process_vm_writev(pid, from.data() + first, from.size() - first,
                                              to.data() + first, to.size() - first, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno(errno, fmt::format("cannot write the memory of QEMU (process {})", pid));
        // Pages are transferred whole or not at all.
        const auto whole = static_cast<size_t>(n) / image_page_size;
        if (whole == 0) return fail("QEMU (process {}) does not take its memory", pid);
        first += whole;
    }
    return {};
}

} // namespace

Status write_memory(pid_t pid, const ImageReader& image, const std::vector<uint64_t>& addresses,
                    std::atomic<uint64_t>& pages) {
    const unsigned threads = std::clamp(std::thread::hardware_concurrency(), 1U, 4U);
    return image.for_each_chunk(
        threads,
        [&](const ImageChunk&, std::span<const std::byte> data, const ImageChunkPages& places) -> Status {
            std::vector<iovec> from;
            std::vector<iovec> to;
            for (size_t slot = 0; slot < places.size(); ++slot) {
                const auto& place = places[slot];
                if (place.block == ImagePageRef::no_block) continue;
                auto* source = const_cast<std::byte*>(data.data() + slot * image_page_size);
                from.push_back({source, image_page_size});
                to.push_back({reinterpret_cast<void*>(addresses[place.block] + place.page * image_page_size),
                              image_page_size});
            }
            const size_t count = to.size();
            TLC_TRY(write_vectors(pid, std::move(from), std::move(to)));
            pages += count;
            return {};
        });
}

} // namespace tlc
