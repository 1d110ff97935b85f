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
uint64_t ImageReader::chunk_count(uint32_t file) const {
    return file < state_->owners.size() ? state_->owners[file].size() / image_chunk_pages : 0;
}
uint64_t ImageReader::used_bytes() const { return state_->used_chunks * image_chunk_size; }
std::span<const ImageOlderFile> ImageReader::older_files() const { return state_->tables.older; }

std::span<const uint64_t> ImageReader::page_table(uint32_t block) const {
    if (block >= state_->tables.page_tables.size()) return {};
    return state_->tables.page_tables[block];
}

Status ImageReader::State::read_chunk(uint64_t n, std::span<std::byte> out) const {
    const ChunkEntry& entry = tables.chunks[n];
    std::vector<std::byte> stored(entry.stored_size);
    {
        const hdf::Lock lock;
        const hsize_t offset[2] = {n * image_chunk_pages, 0};
        hsize_t size = 0;
        uint32_t skipped_filters = 0;
        // The size is asked for first: the library writes as much as its own index says.
        if (H5Dget_chunk_storage_size(pages.get(), offset, &size) < 0 || size != stored.size())
            return chunk_damaged(n, path, fmt::format("{} bytes instead of {}", size, stored.size()));
        const auto status = hdf::check(
            H5Dread_chunk(pages.get(), H5P_DEFAULT, offset, &skipped_filters, stored.data()), "read");
        if (!status) return chunk_damaged(n, path, status.error().message);
        if (skipped_filters != 0) return chunk_damaged(n, path, "stored without the LZ4 filter");
    }
    if (checksum(stored) != entry.sum) return chunk_damaged(n, path, "checksum does not match");
    if (auto decoded = decode_chunk(stored, out); !decoded)
        return in_context(decoded.error(), fmt::format("chunk {} of {}", n, path.string()));
    return {};
}

bool ImageReader::State::is_used(size_t file_number, uint64_t chunk) const {
    const auto slots = std::span(owners[file_number]).subspan(chunk * image_chunk_pages, image_chunk_pages);
    return std::any_of(slots.begin(), slots.end(), [](uint64_t owner) { return owner != no_page; });
}

Status ImageReader::read_chunk(const ImageChunk& chunk, std::span<std::byte> out) const {
    if (chunk.file >= state_->owners.size() ||
        chunk.number >= state_->owners[chunk.file].size() / image_chunk_pages)
        return fail("chunk {} of file {} was asked for, which is not there", chunk.number, chunk.file);
    return (chunk.file == 0 ? *state_ : *state_->older[chunk.file - 1]).read_chunk(chunk.number, out);
}

ImageChunkPages ImageReader::chunk_pages(const ImageChunk& chunk) const {
    ImageChunkPages pages{};
    if (chunk.file >= state_->owners.size()) return pages;
    const auto& owners = state_->owners[chunk.file];
    for (size_t i = 0; i < image_chunk_pages; ++i) {
        const uint64_t slot = chunk.number * image_chunk_pages + i;
        if (slot >= owners.size()) break;
        const uint64_t owner = owners[slot];
        if (owner != no_page) pages[i] = {static_cast<uint32_t>(owner >> 48), owner & image_slot_mask};
    }
    return pages;
}

std::vector<ImageChunk> ImageReader::needed_chunks() const {
    std::vector<ImageChunk> chunks;
    for (uint32_t file = 0; file < state_->owners.size(); ++file)
        for (uint64_t n = 0; n < chunk_count(file); ++n)
            if (file == 0 || state_->is_used(file, n)) chunks.push_back({file, n});
    return chunks;
}

Status ImageReader::for_each_chunk(unsigned threads, const ImageChunkVisitor& visit) const {
    return for_each_of(needed_chunks(), threads, visit);
}

Status ImageReader::for_each_of(const std::vector<ImageChunk>& chunks, unsigned threads,
                                const ImageChunkVisitor& visit) const {
    std::atomic<uint64_t> next = 0;
    std::atomic<bool> stop = false;
    std::mutex mutex;
    Status result;
    const auto work = [&] {
        std::vector<std::byte> data(image_chunk_size);
        for (uint64_t n; !stop && (n = next.fetch_add(1)) < chunks.size();) {
            Status status = read_chunk(chunks[n], data);
            if (status) status = visit(chunks[n], data, chunk_pages(chunks[n]));
            if (status) continue;
            const std::lock_guard lock(mutex);
            if (!stop.exchange(true)) result = std::move(status);
        }
    };
    std::vector<std::thread> helpers;
    for (uint64_t i = 1; i < std::min<uint64_t>(threads, chunks.size()); ++i)
        helpers.emplace_back(work);
    work();
    for (auto& helper : helpers)
        helper.join();
    return result;
}

} // namespace tlc
