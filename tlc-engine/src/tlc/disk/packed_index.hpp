// SPDX-License-Identifier: GPL-2.0-or-later
// A packed disk is a frozen disk as plain files, for a file system that can freeze nothing itself: its
// stretches lie in pack files, each written once, and the file "disk.index" says where. A checkpoint's packs
// may come from earlier checkpoints; they are hard links, so each checkpoint has all it needs in its own
// directory. Format: docs/checkpoint-lifecycle.md. Plain values; the functions have no state.
#pragma once

#include <tlc/base/checksum.hpp>
#include <tlc/base/result.hpp>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace tlc {

inline constexpr const char* packed_index_file = "disk.index";
inline constexpr std::string_view pack_first_bytes = "TLC-DISK-PACK 1\n";

struct PackedStretch {
    Checksum sum;      // of its plain content
    uint32_t pack = 0; // number in the index's list, from 1; 0: all zero, and stored nowhere
    uint64_t offset = 0;
    uint32_t length = 0; // as stored: less than the plain size: one LZ4 block; the same: plain
    bool operator==(const PackedStretch&) const = default;
};

struct PackedIndex {
    struct File {
        uint64_t size = 0;
        std::vector<PackedStretch> stretches;
        bool operator==(const File&) const = default;
    };
    std::vector<std::string> packs; // names in the checkpoint's directory
    std::map<std::string, File> files;
    bool operator==(const PackedIndex&) const = default;
};

std::string packed_index_text(const PackedIndex& index);
// ErrorKind::damaged for anything that packed_index_text does not make.
Result<PackedIndex> parse_packed_index(std::string_view text);
// From a checkpoint's directory; `digest`: what the manifest says is the checksum of its text.
Result<PackedIndex> read_packed_index(const std::filesystem::path& directory, std::string_view digest);

} // namespace tlc
