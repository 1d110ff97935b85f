// SPDX-License-Identifier: GPL-2.0-or-later
// What a memory image holds, as plain values, and the numbers of the format. The format itself is described
// in docs/image-format.md; numbers in it are frozen. Sizes are bytes, times nanoseconds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

namespace tlc {

constexpr size_t image_page_size = 4096;
constexpr size_t image_chunk_pages = 16;
constexpr size_t image_chunk_size = image_page_size * image_chunk_pages;
// 2 only where there are older files.
constexpr uint64_t image_format_version = 2;

// Caps that writer and reader enforce.
constexpr size_t image_max_blocks = 256;
constexpr size_t image_max_text = 1024;
constexpr size_t image_max_counters = 64;
constexpr uint64_t image_max_device_state = uint64_t{1} << 30;
constexpr uint64_t image_max_block_length = uint64_t{1} << 46;

constexpr size_t image_max_older_files = 64;

// A page table entry: 0 is a zero page, otherwise slot + 1 in the low 48 bits and in the high 16 bits the
// file: 0 is the image's own, n the n-th of its older files.
constexpr unsigned image_file_shift = 48;
constexpr uint64_t image_slot_mask = (uint64_t{1} << image_file_shift) - 1;

// What is known before the first page. Texts are at most image_max_text bytes, without control characters.
struct ImageInfo {
    std::string identity;        // UUID of this image
    std::string parent_identity; // "" for a full image
    std::string machine;
    std::string cpu_model;
    std::string qemu_version;
    std::string capture_kind; // "cow", ...
    std::string created;      // UTC, "2026-01-31T12:00:00Z"

    bool operator==(const ImageInfo&) const = default;
};

// A file of an older checkpoint that holds pages of this one. It lies beside the image under the name of
// older_file_name(). What it must be is told by the checksum of its chunk table.
struct ImageOlderFile {
    std::string identity; // ImageInfo::identity of the image it was written for
    uint64_t chunks = 0;
    std::string chunks_checksum; // 32 hex digits

    bool operator==(const ImageOlderFile&) const = default;
};

std::string older_file_name(const std::string& identity);

// One RAM block of the VM. The length is a multiple of image_page_size.
struct ImageBlock {
    std::string id;
    uint64_t length = 0;
    uint64_t page_size = image_page_size; // the VM's own page size for the block (host pages), kept as a fact

    bool operator==(const ImageBlock&) const = default;
};

// What is known when the last page is in. `further` holds the capture's own counters by name ([a-z0-9_]+).
struct ImageCounters {
    uint64_t pause_ns = 0;
    uint64_t latency_ns = 0;
    std::map<std::string, uint64_t> further;

    bool operator==(const ImageCounters&) const = default;
};

} // namespace tlc
