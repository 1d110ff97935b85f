// SPDX-License-Identifier: GPL-2.0-or-later
// Packs a frozen disk into a checkpoint's directory on any file system, and unpacks it again. Only what has
// changed since an earlier packed checkpoint is written, as far as that one's index tells; the rest is
// linked. Not thread-safe; two calls must not work on the same directory.
#pragma once

#include <tlc/base/throttle.hpp>
#include <tlc/disk/disk_sums.hpp>
#include <tlc/disk/packed_index.hpp>

namespace tlc {

// An earlier packed checkpoint, in a directory of the same file system.
struct PackedBase {
    std::filesystem::path directory;
    PackedIndex index;
};

struct PackReport {
    std::string digest;                    // of disk.index
    std::map<std::string, uint64_t> packs; // sizes, by their names in the directory
    uint64_t written_bytes = 0;            // into this checkpoint's own pack
};

// Prerequisites: `sums` are of the snapshot, which nobody writes to; `directory` has no packed disk. Effect
// on success: the packs and disk.index are in `directory` and durable, but for the directory itself. Effect
// on failure: what has been written there is garbage. ErrorKind::damaged: the snapshot is not what `sums`
// say.
Result<PackReport> pack_disk(const std::filesystem::path& snapshot, const DiskSums& sums,
                             const std::filesystem::path& directory, const PackedBase* base,
                             Throttle& throttle);

// Writes the files into `live`, an empty directory. ErrorKind::damaged names the pack or the file.
Status unpack_disk(const std::filesystem::path& directory, const PackedIndex& index,
                   const std::filesystem::path& live);

// Reads and compares all; `progress` (optional) is told how many bytes of the files have been compared.
Status check_packed_disk(const std::filesystem::path& directory, const PackedIndex& index,
                         const std::function<void(uint64_t)>& progress = {});

} // namespace tlc
