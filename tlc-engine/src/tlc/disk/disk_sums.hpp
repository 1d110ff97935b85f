// SPDX-License-Identifier: GPL-2.0-or-later
// What the files of a frozen disk hold: a checksum of each stretch of 1 MiB of each, kept beside the disk as
// the file "disk.sums" (format: docs/checkpoint-lifecycle.md). Where the file system tells that a stretch
// lies where it lay in the checkpoint before, it is not read again. Plain values; the functions have no
// state.
#pragma once

#include <tlc/base/checksum.hpp>
#include <tlc/base/result.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace tlc {

inline constexpr uint64_t disk_stretch = uint64_t{1} << 20;
inline constexpr const char* disk_sums_file = "disk.sums";

struct DiskSums {
    struct File {
        uint64_t size = 0;
        std::vector<Checksum> stretches; // the last one may be shorter
        bool operator==(const File&) const = default;
    };
    std::map<std::string, File> files; // by their names in the disk's directory
    bool operator==(const DiskSums&) const = default;
};

// A frozen disk whose checksums are known, still there and unchanged.
struct SummedDisk {
    std::filesystem::path snapshot;
    DiskSums sums;
};

// Reads the regular files of a frozen disk, which nobody writes to. `before` (optional): what of it has not
// moved is not read. `read` (optional) gets the bytes that were.
Result<DiskSums> sum_disk(const std::filesystem::path& snapshot, const SummedDisk* before = nullptr,
                          uint64_t* read = nullptr);

// Reads all and compares. ErrorKind::damaged names the file and the place. `progress` (optional) is told how
// many bytes have been compared.
Status check_disk(const std::filesystem::path& snapshot, const DiskSums& sums,
                  const std::function<void(uint64_t)>& progress = {});

std::string disk_sums_text(const DiskSums& sums);
// ErrorKind::damaged for anything that disk_sums_text does not make.
Result<DiskSums> parse_disk_sums(std::string_view text);
// From the file; `digest`: what the manifest says is the checksum of its text.
Result<DiskSums> read_disk_sums(const std::filesystem::path& file, std::string_view digest);

} // namespace tlc
