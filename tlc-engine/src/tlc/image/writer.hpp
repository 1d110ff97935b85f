// SPDX-License-Identifier: GPL-2.0-or-later
// ImageWriter writes one memory image (docs/image-format.md) to a path that must not exist yet, mode 0600.
// finish() closes it and makes it durable; giving it its published name is the catalogue's matter. An image
// that was not finished is removed by the destructor. A full disk is ErrorKind::no_space. Pages go in through
// lanes, one a thread: zero pages are left out, the others are packed into 64 KiB chunks, compressed
// where that pays and hashed in the caller's thread, and written under one lock.
#pragma once

#include <tlc/base/checksum.hpp>
#include <tlc/base/result.hpp>
#include <tlc/image/compression.hpp>
#include <tlc/image/format.hpp>

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace tlc {

struct ImageSummary {
    uint64_t file_bytes = 0;   // size of the finished file
    uint64_t stored_bytes = 0; // compressed pages
    uint64_t pages_stored = 0; // in this file
    uint64_t pages_older = 0;  // in older files
    uint64_t pages_zero = 0;   // all other pages of the blocks
    std::vector<ImageOlderFile> older;
    std::string digest; // root digest, 32 hex digits; belongs in the manifest
};

// What the next image needs to know of this one to leave out pages that have not changed: where each page is,
// as the next image's page tables will say it, and its hash (XXH3-128; meaningful where a page is stored).
// 24 bytes a page of guest memory.
struct ImageBase {
    std::string identity;
    std::vector<ImageOlderFile> older;
    std::vector<std::vector<uint64_t>> page_tables; // one a block
    std::vector<std::vector<Checksum>> hashes;      // likewise
};

// One thread's way into an image. Owned by the writer; used by one thread at a time.
class ImageLane {
  public:
    virtual ~ImageLane() = default;
    // Whole pages of block number `block`, starting with page `first_page`; the data is copied. A page added
    // again replaces the earlier one if the caller orders the two calls. A page that is as it was in the base
    // is not stored again. After an error every call fails.
    virtual Status add(uint32_t block, uint64_t first_page, std::span<const std::byte> data) = 0;
};

class ImageWriter {
  public:
    static Result<ImageWriter> create(const std::filesystem::path& path, const ImageInfo& info,
                                      std::vector<ImageBlock> blocks,
                                      Compression compression = Compression::automatic);
    // An image that may serve as a base later. base: pages never added are as there; without one they are
    // zero. ErrorKind::usage for a base of other blocks.
    static Result<ImageWriter> create_in_chain(const std::filesystem::path& path, const ImageInfo& info,
                                               std::vector<ImageBlock> blocks, std::optional<ImageBase> base,
                                               Compression compression = Compression::automatic);
    ImageWriter(ImageWriter&&) noexcept;
    ImageWriter& operator=(ImageWriter&&) noexcept;
    ~ImageWriter();

    // A new lane, valid as long as the writer. Thread-safe.
    ImageLane& lane();
    // All non-RAM state of the VM, once. Thread-safe.
    Status set_device_state(std::span<const std::byte> state);
    // Writes what the lanes still hold and the tables, closes, fsyncs the file. The lanes must be idle.
    Result<ImageSummary> finish(const ImageCounters& counters);
    // After finish() of an image made by create_in_chain, once.
    ImageBase take_base();

  private:
    struct State;
    static Result<ImageWriter> begin(const std::filesystem::path& path, const ImageInfo& info,
                                     std::vector<ImageBlock> blocks, Compression compression);
    explicit ImageWriter(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

} // namespace tlc
