// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/image/tables.hpp>

#include <algorithm>
#include <set>

namespace tlc {

Status check_text(std::string_view name, std::string_view text) {
    const bool plain = std::none_of(text.begin(), text.end(), [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte < 0x20 || byte == 0x7f;
    });
    if (plain && text.size() <= image_max_text) return {};
    return fail(ErrorKind::damaged, "{} is longer than {} bytes or has control characters", name,
                image_max_text);
}

Status check_info(const ImageInfo& info) {
    for (const auto& field : info_fields)
        TLC_TRY(check_text(field.name, info.*field.text));
    return {};
}

Status check_counters(const ImageCounters& counters) {
    if (counters.further.size() > image_max_counters)
        return fail(ErrorKind::damaged, "more than {} counters", image_max_counters);
    for (const auto& [name, value] : counters.further) {
        const bool good =
            !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
                return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
            });
        if (!good) return fail(ErrorKind::damaged, "invalid name of a counter");
    }
    return {};
}

Status check_blocks(const std::vector<ImageBlock>& blocks) {
    if (blocks.empty() || blocks.size() > image_max_blocks)
        return fail(ErrorKind::damaged, "{} RAM blocks (1 to {} are possible)", blocks.size(),
                    image_max_blocks);
    std::set<std::string_view> ids;
    for (const auto& block : blocks) {
        TLC_TRY(check_text("id of a RAM block", block.id));
        if (block.id.empty() || !ids.insert(block.id).second)
            return fail(ErrorKind::damaged, "RAM block id \"{}\" is empty or used twice", block.id);
        if (block.length == 0 || block.length % image_page_size != 0 || block.length > image_max_block_length)
            return fail(ErrorKind::damaged, "RAM block {} has an impossible length of {} bytes", block.id,
                        block.length);
    }
    return {};
}

Checksum table_checksum(std::span<const uint64_t> table) { return checksum(std::as_bytes(table)); }

Checksum chunks_checksum(std::span<const ChunkEntry> chunks) { return checksum(std::as_bytes(chunks)); }

std::string root_digest(const ImageTables& tables) {
    std::string text = fmt::format("TLC-MEMORY-IMAGE {}\n", image_format_version);
    auto out = std::back_inserter(text);
    for (const auto& field : info_fields)
        fmt::format_to(out, "{} {}\n", field.name, tables.info.*field.text);
    fmt::format_to(out, "pause_ns {}\nlatency_ns {}\npage_size {}\n", tables.counters.pause_ns,
                   tables.counters.latency_ns, image_page_size);
    for (const auto& [name, value] : tables.counters.further)
        fmt::format_to(out, "counter {} {}\n", name, value);
    for (size_t i = 0; i < tables.blocks.size(); ++i) {
        const auto& block = tables.blocks[i];
        fmt::format_to(out, "block {} {} {} {} {}\n", i, block.length, block.page_size,
                       table_checksum(tables.page_tables[i]).text(), block.id);
    }
    fmt::format_to(out, "chunks {} {}\n", tables.chunks.size(), chunks_checksum(tables.chunks).text());
    fmt::format_to(out, "device_state {} {}\n", tables.device_state_bytes, tables.device_state_sum.text());
    return checksum(std::as_bytes(std::span(text))).text();
}

Result<std::vector<uint64_t>> invert_page_tables(const ImageTables& tables) {
    std::vector<uint64_t> pages(tables.chunks.size() * image_chunk_pages, no_page);
    for (size_t block = 0; block < tables.page_tables.size(); ++block) {
        const auto& table = tables.page_tables[block];
        for (size_t page = 0; page < table.size(); ++page) {
            const uint64_t entry = table[page];
            if (entry == 0) continue;
            if ((entry & ~image_slot_mask) != 0)
                return fail(ErrorKind::damaged, "page {} of RAM block {} uses reserved bits", page, block);
            if (entry > pages.size())
                return fail(ErrorKind::damaged, "page {} of RAM block {} is in slot {} of {}", page, block,
                            entry - 1, pages.size());
            uint64_t& owner = pages[entry - 1];
            if (owner != no_page)
                return fail(ErrorKind::damaged, "slot {} is used twice (page {} of RAM block {})", entry - 1,
                            page, block);
            owner = uint64_t{block} << 48 | page;
        }
    }
    return pages;
}

} // namespace tlc
