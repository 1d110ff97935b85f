// SPDX-License-Identifier: GPL-2.0-or-later
// The parts of a checkpoint for reading: the memory image and, where there is one, what its frozen disk must
// hold. Opening checks sizes, the manifest, the image's tables and its digest; the contents are checked by
// check_disk_part() and verify(). ErrorKind::damaged names the part. Not thread-safe.
#pragma once

#include <tlc/catalog/manifest.hpp>
#include <tlc/disk/disk_sums.hpp>
#include <tlc/disk/packed_index.hpp>
#include <tlc/image/reader.hpp>

#include <atomic>
#include <filesystem>
#include <optional>

namespace tlc {

class CheckpointParts {
  public:
    // Of a published checkpoint, or of a directory with only a memory image (memory.h5).
    // ErrorKind::no_checkpoint if it has neither.
    static Result<CheckpointParts> open(const std::filesystem::path& directory);

    const ImageReader& image() const { return image_; }
    const std::optional<Manifest>& manifest() const { return manifest_; }
    // Whether the disk's content can be checked.
    bool has_disk_sums() const { return disk_sums_ || packed_disk_; }
    uint64_t disk_bytes() const;
    const std::optional<DiskSums>& disk_sums() const { return disk_sums_; }
    const std::optional<PackedIndex>& packed_disk() const { return packed_disk_; }

    // `done` counts bytes as they are checked, of disk_bytes(); at most so many a second, 0: no limit.
    Status check_disk_part(std::atomic<uint64_t>& done, uint64_t bytes_per_second = 0) const;
    // Reads everything; `done` counts up to image().used_bytes() + disk_bytes().
    Status verify(std::atomic<uint64_t>& done) const;

  private:
    CheckpointParts(ImageReader image, std::filesystem::path directory)
        : image_(std::move(image)), directory_(std::move(directory)) {}

    ImageReader image_;
    std::filesystem::path directory_;
    std::optional<Manifest> manifest_;
    std::optional<DiskSums> disk_sums_;
    std::optional<PackedIndex> packed_disk_;
};

} // namespace tlc
