// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/image/chunk_codec.hpp>
#include <tlc/image/reader_state.hpp>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

namespace tlc {
namespace {

tl::unexpected<Error> chunk_damaged(uint64_t n, const std::filesystem::path& path, std::string_view why) {
    return fail(ErrorKind::damaged, "chunk {} of {}: {}", n, path.string(), why);
}

} // namespace

ImageReader::ImageReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
ImageReader::ImageReader(ImageReader&&) noexcept = default;
ImageReader& ImageReader::operator=(ImageReader&&) noexcept = default;
ImageReader::~ImageReader() = default;

const ImageInfo& ImageReader::info() const { return state_->tables.info; }
const ImageCounters& ImageReader::counters() const { return state_->tables.counters; }
const std::vector<ImageBlock>& ImageReader::blocks() const { return state_->tables.blocks; }
std::span<const std::byte> ImageReader::device_state() const { return state_->device_state; }
const std::string& ImageReader::digest() const { return state_->digest; }
uint64_t ImageReader::chunk_count() const { return state_->tables.chunks.size(); }

std::span<const uint64_t> ImageReader::page_table(uint32_t block) const {
    if (block >= state_->tables.page_tables.size()) return {};
    return state_->tables.page_tables[block];
}

Status ImageReader::read_chunk(uint64_t n, std::span<std::byte> out) const {
    if (n >= chunk_count()) return fail("chunk {} of {} was asked for", n, chunk_count());
    const ChunkEntry& entry = state_->tables.chunks[n];
    std::vector<std::byte> stored(entry.stored_size);
    {
        const hdf::Lock lock;
        const hsize_t offset[2] = {n * image_chunk_pages, 0};
        hsize_t size = 0;
        uint32_t skipped_filters = 0;
        // The size is asked for first: the library writes as much as its own index says.
        if (H5Dget_chunk_storage_size(state_->pages.get(), offset, &size) < 0 || size != stored.size())
            return chunk_damaged(n, state_->path, fmt::format("{} bytes instead of {}", size, stored.size()));
        const auto status = hdf::check(
            H5Dread_chunk(state_->pages.get(), H5P_DEFAULT, offset, &skipped_filters, stored.data()), "read");
        if (!status) return chunk_damaged(n, state_->path, status.error().message);
        if (skipped_filters != 0) return chunk_damaged(n, state_->path, "stored without the LZ4 filter");
    }
    if (checksum(stored) != entry.sum) return chunk_damaged(n, state_->path, "checksum does not match");
    if (auto decoded = decode_chunk(stored, out); !decoded)
        return in_context(decoded.error(), fmt::format("chunk {} of {}", n, state_->path.string()));
    return {};
}

ImageChunkPages ImageReader::chunk_pages(uint64_t n) const {
    ImageChunkPages pages{};
    if (n >= chunk_count()) return pages;
    for (size_t i = 0; i < image_chunk_pages; ++i) {
        const uint64_t owner = state_->owners[n * image_chunk_pages + i];
        if (owner != no_page) pages[i] = {static_cast<uint32_t>(owner >> 48), owner & image_slot_mask};
    }
    return pages;
}

Status ImageReader::for_each_chunk(unsigned threads, const ImageChunkVisitor& visit) const {
    std::atomic<uint64_t> next = 0;
    std::atomic<bool> stop = false;
    std::mutex mutex;
    Status result;
    const auto work = [&] {
        std::vector<std::byte> data(image_chunk_size);
        for (uint64_t n; !stop && (n = next.fetch_add(1)) < chunk_count();) {
            Status status = read_chunk(n, data);
            if (status) status = visit(n, data, chunk_pages(n));
            if (status) continue;
            const std::lock_guard lock(mutex);
            if (!stop.exchange(true)) result = std::move(status);
        }
    };
    std::vector<std::thread> helpers;
    for (uint64_t i = 1; i < std::min<uint64_t>(threads, chunk_count()); ++i)
        helpers.emplace_back(work);
    work();
    for (auto& helper : helpers)
        helper.join();
    return result;
}

} // namespace tlc
