// SPDX-License-Identifier: GPL-2.0-or-later
// The tables of an image and what is computed from them, the same for writer and reader. No file access.
#pragma once

#include <tlc/base/checksum.hpp>
#include <tlc/base/result.hpp>
#include <tlc/image/format.hpp>

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tlc {

// A row of /chunks.
struct ChunkEntry {
    uint64_t stored_size = 0;
    Checksum sum; // of the stored bytes
};
static_assert(sizeof(ChunkEntry) == 3 * sizeof(uint64_t));

struct ImageTables {
    ImageInfo info;
    ImageCounters counters;
    std::vector<ImageOlderFile> older;
    std::vector<ImageBlock> blocks;
    std::vector<std::vector<uint64_t>> page_tables; // one a block
    std::vector<ChunkEntry> chunks;
    uint64_t device_state_bytes = 0;
    Checksum device_state_sum;
};

// The texts of ImageInfo by attribute name, in the order of the root digest.
struct InfoField {
    const char* name;
    std::string ImageInfo::*text;
};
inline constexpr std::array<InfoField, 7> info_fields{{
    {"identity", &ImageInfo::identity},
    {"parent_identity", &ImageInfo::parent_identity},
    {"machine", &ImageInfo::machine},
    {"cpu_model", &ImageInfo::cpu_model},
    {"qemu_version", &ImageInfo::qemu_version},
    {"capture_kind", &ImageInfo::capture_kind},
    {"created", &ImageInfo::created},
}};

Status check_text(std::string_view name, std::string_view text);
Status check_info(const ImageInfo& info);
Status check_counters(const ImageCounters& counters);
Status check_older_files(const std::vector<ImageOlderFile>& older);
Status check_blocks(const std::vector<ImageBlock>& blocks);

Checksum table_checksum(std::span<const uint64_t> table);
Checksum chunks_checksum(std::span<const ChunkEntry> chunks);
// The digest over all of it; it stands for the whole content of the image.
std::string root_digest(const ImageTables& tables);

// For every slot of every file (0 is the image's own, n the n-th older one) which page it holds: block number
// in the high 16 bits, page number below; no_page for none. ErrorKind::damaged for an entry outside its file,
// for a file that is not there and for a slot used twice.
constexpr uint64_t no_page = UINT64_MAX;
Result<std::vector<std::vector<uint64_t>>> invert_page_tables(const ImageTables& tables);

// Takes older files that no page is in out of the list and renumbers the others.
void drop_unused_older_files(ImageTables& tables);

} // namespace tlc
