// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/throttle.hpp>
#include <tlc/checkpoint/checkpoint_parts.hpp>
#include <tlc/disk/packed_disk.hpp>

#include <algorithm>
#include <thread>

namespace tlc {

Result<CheckpointParts> CheckpointParts::open(const std::filesystem::path& directory) {
    auto manifest = read_manifest(directory);
    if (!manifest) {
        if (manifest.error().kind != ErrorKind::no_checkpoint) return tl::unexpected(manifest.error());
        std::error_code unknown;
        if (!std::filesystem::exists(directory / "memory.h5", unknown) && !unknown)
            return fail(ErrorKind::no_checkpoint, "{} holds no checkpoint (there is no memory.h5)",
                        directory.string());
        TLC_TRY_ASSIGN(image, ImageReader::open(directory / "memory.h5"));
        return CheckpointParts(std::move(image), directory);
    }
    TLC_TRY(check_parts(*manifest, directory));
    TLC_TRY_ASSIGN(image, ImageReader::open(directory / manifest->memory.file, manifest->memory.digest));
    CheckpointParts parts(std::move(image), directory);
    if (manifest->disk && manifest->disk->kind == packed_kind) {
        TLC_TRY_ASSIGN(index, read_packed_index(directory, manifest->disk->sums));
        parts.packed_disk_ = std::move(index);
    } else if (manifest->disk && !manifest->disk->sums.empty()) {
        TLC_TRY_ASSIGN(sums, read_disk_sums(directory / disk_sums_file, manifest->disk->sums));
        parts.disk_sums_ = std::move(sums);
    }
    parts.manifest_ = std::move(*manifest);
    return parts;
}

uint64_t CheckpointParts::disk_bytes() const {
    uint64_t sum = 0;
    if (disk_sums_)
        for (const auto& [name, file] : disk_sums_->files)
            sum += file.stretches.size() * disk_stretch;
    if (packed_disk_)
        for (const auto& [name, file] : packed_disk_->files)
            sum += file.stretches.size() * disk_stretch;
    return sum;
}

Status CheckpointParts::check_disk_part(std::atomic<uint64_t>& done, uint64_t bytes_per_second) const {
    if (!has_disk_sums()) return {};
    const uint64_t before = done;
    Throttle throttle(bytes_per_second);
    const auto progress = [&](uint64_t checked) {
        throttle.passed(before + checked - done);
        done = before + checked;
    };
    if (packed_disk_) return check_packed_disk(directory_, *packed_disk_, progress);
    return check_disk(directory_ / manifest_->disk->path, *disk_sums_, progress);
}

Status CheckpointParts::verify(std::atomic<uint64_t>& done) const {
    const unsigned threads = std::clamp(std::thread::hardware_concurrency(), 1U, 4U);
    TLC_TRY(image_.for_each_chunk(
        threads, [&](const ImageChunk&, std::span<const std::byte> data, const ImageChunkPages&) -> Status {
            done += data.size();
            return {};
        }));
    done = image_.used_bytes();
    return check_disk_part(done);
}

} // namespace tlc
