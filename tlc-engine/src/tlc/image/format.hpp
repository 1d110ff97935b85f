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
constexpr uint64_t image_format_version = 1;

// Caps that writer and reader enforce.
constexpr size_t image_max_blocks = 256;
constexpr size_t image_max_text = 1024;
constexpr size_t image_max_counters = 64;
constexpr uint64_t image_max_device_state = uint64_t{1} << 30;
constexpr uint64_t image_max_block_length = uint64_t{1} << 46;

// A page table entry: 0 is a zero page, otherwise slot + 1 in the low 48 bits. The high 16 bits are reserved
// for the number of an older file and are 0 in this version.
constexpr uint64_t image_slot_mask = (uint64_t{1} << 48) - 1;

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
