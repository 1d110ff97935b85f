// SPDX-License-Identifier: GPL-2.0-or-later
// ImageWriter writes one memory image (docs/image-format.md) to a path that must not exist yet, mode 0600.
// finish() closes it and makes it durable; giving it its published name is the catalogue's matter. An image
// that was not finished is removed by the destructor. A full disk is ErrorKind::no_space. Pages go in through
// lanes, one a thread: zero pages are left out, the others are packed into 64 KiB chunks, compressed and
// hashed in the caller's thread, and written under one lock. Pages never added are zero.
#pragma once

#include <tlc/base/result.hpp>
#include <tlc/image/format.hpp>

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace tlc {

struct ImageSummary {
    uint64_t file_bytes = 0;   // size of the finished file
    uint64_t stored_bytes = 0; // compressed pages
    uint64_t pages_stored = 0;
    uint64_t pages_zero = 0; // all other pages of the blocks
    std::string digest;      // root digest, 32 hex digits; belongs in the manifest
};

// One thread's way into an image. Owned by the writer; used by one thread at a time.
class ImageLane {
  public:
    virtual ~ImageLane() = default;
    // Whole pages of block number `block`, starting with page `first_page`; the data is copied. A page added
    // again replaces the earlier one if the caller orders the two calls. After an error every call fails.
    virtual Status add(uint32_t block, uint64_t first_page, std::span<const std::byte> data) = 0;
};

class ImageWriter {
  public:
    static Result<ImageWriter> create(const std::filesystem::path& path, const ImageInfo& info,
                                      std::vector<ImageBlock> blocks);
    ImageWriter(ImageWriter&&) noexcept;
    ImageWriter& operator=(ImageWriter&&) noexcept;
    ~ImageWriter();

    // A new lane, valid as long as the writer. Thread-safe.
    ImageLane& lane();
    // All non-RAM state of the VM, once. Thread-safe.
    Status set_device_state(std::span<const std::byte> state);
    // Writes what the lanes still hold and the tables, closes, fsyncs the file. The lanes must be idle.
    Result<ImageSummary> finish(const ImageCounters& counters);

  private:
    struct State;
    explicit ImageWriter(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

} // namespace tlc
