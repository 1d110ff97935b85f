// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/checkpoint/memory_loader.hpp>

#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <set>
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

// The chunks that hold pages of blocks that are not watched, in no more than the order of their numbers.
std::vector<ImageChunk> chunks_of_unwatched(const ImageReader& image,
                                            const std::vector<MemoryPlace>& places) {
    std::set<std::pair<uint32_t, uint64_t>> found;
    for (uint32_t block = 0; block < places.size(); ++block) {
        if (places[block].watched) continue;
        for (const uint64_t entry : image.page_table(block))
            if (entry != 0)
                found.emplace(static_cast<uint32_t>(entry >> image_file_shift),
                              ((entry & image_slot_mask) - 1) / image_chunk_pages);
    }
    std::vector<ImageChunk> chunks;
    for (const auto& [file, number] : found)
        chunks.push_back({file, number});
    return chunks;
}

Status write_chunk(pid_t pid, std::span<const std::byte> data, const ImageChunkPages& pages,
                   const std::vector<MemoryPlace>& places, std::atomic<uint64_t>& count) {
    std::vector<iovec> from;
    std::vector<iovec> to;
    for (size_t slot = 0; slot < pages.size(); ++slot) {
        const auto& page = pages[slot];
        if (page.block == ImagePageRef::no_block || places[page.block].watched) continue;
        auto* source = const_cast<std::byte*>(data.data() + slot * image_page_size);
        from.push_back({source, image_page_size});
        to.push_back({reinterpret_cast<void*>(places[page.block].address + page.page * image_page_size),
                      image_page_size});
    }
    const size_t written = to.size();
    TLC_TRY(write_vectors(pid, std::move(from), std::move(to)));
    count += written;
    return {};
}

} // namespace

Status write_memory(pid_t pid, const ImageReader& image, const std::vector<MemoryPlace>& places,
                    std::atomic<uint64_t>& pages) {
    const unsigned threads = std::clamp(std::thread::hardware_concurrency(), 1U, 4U);
    return image.for_each_of(
        chunks_of_unwatched(image, places), threads,
        [&](const ImageChunk&, std::span<const std::byte> data, const ImageChunkPages& held) {
            return write_chunk(pid, data, held, places, pages);
        });
}

} // namespace tlc
