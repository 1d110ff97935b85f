// SPDX-License-Identifier: GPL-2.0-or-later
// ImageReader reads a finished memory image, with the pages of it that lie in older files beside it. open()
// checks every size and checksum of everything but the chunks; a chunk is checked when it is read. Any damage
// is ErrorKind::damaged and names the part; a file of a newer format is ErrorKind::incompatible. All const
// members are thread-safe (file access is serialised, decompression is not). What is returned by reference
// lives as long as the reader.
#pragma once

#include <tlc/base/result.hpp>
#include <tlc/image/format.hpp>

#include <array>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace tlc {

// Which page of which block a slot holds; `block` is no_block where no page table refers to the slot.
struct ImagePageRef {
    static constexpr uint32_t no_block = UINT32_MAX;
    uint32_t block = no_block;
    uint64_t page = 0;
};

// A chunk of file 0, the image's own, or of its n-th older one.
struct ImageChunk {
    uint32_t file = 0;
    uint64_t number = 0;
};

using ImageChunkPages = std::array<ImagePageRef, image_chunk_pages>;
// data is image_chunk_size bytes, valid during the call. An error stops the walk.
using ImageChunkVisitor = std::function<Status(const ImageChunk& chunk, std::span<const std::byte> data,
                                               const ImageChunkPages& pages)>;

class ImageReader {
  public:
    // With a digest (the manifest's) anything in the file that differs from what was written is damage.
    static Result<ImageReader> open(const std::filesystem::path& path, const std::string& digest = {});
    ImageReader(ImageReader&&) noexcept;
    ImageReader& operator=(ImageReader&&) noexcept;
    ~ImageReader();

    const ImageInfo& info() const;
    const ImageCounters& counters() const;
    const std::vector<ImageBlock>& blocks() const;
    std::span<const std::byte> device_state() const;
    // One entry a page (format.hpp); empty for a block number out of range.
    std::span<const uint64_t> page_table(uint32_t block) const;
    const std::string& digest() const;

    std::span<const ImageOlderFile> older_files() const;
    // Of the image's own file, 0, or of its n-th older one; not all of an older one's are needed.
    uint64_t chunk_count(uint32_t file = 0) const;
    // What for_each_chunk goes over, older files included.
    uint64_t used_bytes() const;
    // Reads, checks and decompresses a chunk into `out` (image_chunk_size bytes).
    Status read_chunk(const ImageChunk& chunk, std::span<std::byte> out) const;
    // The pages that the slots of a chunk hold.
    ImageChunkPages chunk_pages(const ImageChunk& chunk) const;
    // Every chunk of the image's own file and those of older ones that it needs, in file order.
    std::vector<ImageChunk> needed_chunks() const;
    // Every chunk of the image and those of older files that it needs, in file order, by `threads` threads at
    // once (at least one). Returns the first error.
    Status for_each_chunk(unsigned threads, const ImageChunkVisitor& visit) const;
    Status for_each_of(const std::vector<ImageChunk>& chunks, unsigned threads,
                       const ImageChunkVisitor& visit) const;

  private:
    struct State;
    explicit ImageReader(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

} // namespace tlc
