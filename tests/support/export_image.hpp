// SPDX-License-Identifier: GPL-2.0-or-later
// An image as of a small VM: RAM and firmware with sample_page()'s content, and a device state that is built
// as QEMU builds it, of two processors.
#pragma once

#include <tlc/image/reader.hpp>

#include <string>

#include "sample_image.hpp"

namespace tlc::test {

inline std::string big(uint64_t value, size_t bytes) {
    std::string text;
    for (size_t i = bytes; i-- > 0;)
        text.push_back(static_cast<char>(value >> (8 * i)));
    return text;
}

inline std::string section(uint32_t number, const std::string& name, uint32_t instance, uint32_t version,
                           const std::string& content) {
    return '\x04' + big(number, 4) + static_cast<char>(name.size()) + name + big(instance, 4) +
           big(version, 4) + content + '\x7e' + big(number, 4);
}

// Every register has a value of its own, derived from `seed`.
inline std::string cpu_content(uint64_t seed) {
    std::string text;
    for (uint64_t i = 0; i < 17; ++i) // general registers, rip
        text += big(seed + i, 8);
    text += big(0x202, 8) + big(0, 4) + std::string(8 + 80, '\0');
    for (uint64_t i = 0; i < 10; ++i) // selector, base, limit, flags
        text += big(i * 8, 4) + big(seed + 0x100 + i, 8) + big(0xffff + i, 4) + big(0x9b00 + i, 4);
    text += std::string(4 + 16, '\0');
    for (const uint64_t control : {0x80050033ULL, 0x1000ULL, 0x2000ULL, 0x6f0ULL})
        text += big(control, 8);
    text += std::string(64 + 8 + 256 + 5 * 8, '\0');
    return text + big(seed + 0x200, 8) + std::string(500, '\0');
}

inline std::string device_state(const std::string& more = {}) {
    return big(0x5145564d, 4) + big(3, 4) + section(0, "timer", 0, 2, std::string(24, 't')) +
           section(3, "cpu_common", 0, 1, std::string(8, 'c')) +
           section(4, "cpu", 0, 12, cpu_content(0x1000)) +
           section(5, "cpu_common", 1, 1, std::string(8, 'c')) +
           section(6, "cpu", 1, 12, cpu_content(0x5000)) + more + section(9, "globalstate", 0, 1, "running") +
           '\0';
}

constexpr uint64_t export_ram_pages = 70;
constexpr uint64_t export_bios_pages = 20;

inline std::vector<ImageBlock> export_blocks() {
    return {{"pc.ram", export_ram_pages * image_page_size, image_page_size},
            {"vga.vram", 3 * image_page_size, image_page_size},
            {"pc.bios", export_bios_pages * image_page_size, image_page_size}};
}

inline Status write_export_image(const std::filesystem::path& path,
                                 const std::string& state = device_state()) {
    const auto blocks = export_blocks();
    TLC_TRY_ASSIGN(writer, ImageWriter::create(path, sample_info(), blocks));
    auto& lane = writer.lane();
    for (uint32_t block = 0; block < blocks.size(); ++block)
        for (uint64_t page = blocks[block].length / image_page_size;
             page-- > 0;) // so that slots and pages differ
            TLC_TRY(lane.add(block, page, sample_page(block, page)));
    TLC_TRY(writer.set_device_state(std::as_bytes(std::span(state))));
    const auto summary = writer.finish({});
    return summary ? Status{} : tl::unexpected(summary.error());
}

} // namespace tlc::test
