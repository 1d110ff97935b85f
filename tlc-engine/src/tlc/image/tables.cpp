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

std::string older_file_name(const std::string& identity) { return "older-" + identity + ".h5"; }

// The identity becomes part of a file's name.
Status check_older_files(const std::vector<ImageOlderFile>& older) {
    if (older.size() > image_max_older_files)
        return fail(ErrorKind::damaged, "{} older files (at most {} are possible)", older.size(),
                    image_max_older_files);
    std::set<std::string_view> identities;
    for (const auto& file : older) {
        const bool good = file.identity.size() == 36 &&
                          file.identity.find_first_not_of("0123456789abcdef-") == std::string::npos;
        if (!good || !identities.insert(file.identity).second)
            return fail(ErrorKind::damaged, "an older file's identity is no UUID or used twice");
        if (file.chunks == 0 || file.chunks > image_max_block_length / image_chunk_size)
            return fail(ErrorKind::damaged, "older file {} has {} chunks", file.identity, file.chunks);
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
    std::string text = fmt::format("TLC-MEMORY-IMAGE {}\n", tables.older.empty() ? 1 : image_format_version);
    auto out = std::back_inserter(text);
    for (const auto& field : info_fields)
        fmt::format_to(out, "{} {}\n", field.name, tables.info.*field.text);
    fmt::format_to(out, "pause_ns {}\nlatency_ns {}\npage_size {}\n", tables.counters.pause_ns,
                   tables.counters.latency_ns, image_page_size);
    for (const auto& [name, value] : tables.counters.further)
        fmt::format_to(out, "counter {} {}\n", name, value);
    for (size_t n = 0; n < tables.older.size(); ++n)
        fmt::format_to(out, "older {} {} {} {}\n", n + 1, tables.older[n].chunks,
                       tables.older[n].chunks_checksum, tables.older[n].identity);
    for (size_t i = 0; i < tables.blocks.size(); ++i) {
        const auto& block = tables.blocks[i];
        fmt::format_to(out, "block {} {} {} {} {}\n", i, block.length, block.page_size,
                       table_checksum(tables.page_tables[i]).text(), block.id);
    }
    fmt::format_to(out, "chunks {} {}\n", tables.chunks.size(), chunks_checksum(tables.chunks).text());
    fmt::format_to(out, "device_state {} {}\n", tables.device_state_bytes, tables.device_state_sum.text());
    return checksum(std::as_bytes(std::span(text))).text();
}

Result<std::vector<std::vector<uint64_t>>> invert_page_tables(const ImageTables& tables) {
    std::vector<std::vector<uint64_t>> files;
    files.emplace_back(tables.chunks.size() * image_chunk_pages, no_page);
    for (const auto& file : tables.older)
        files.emplace_back(file.chunks * image_chunk_pages, no_page);
    for (size_t block = 0; block < tables.page_tables.size(); ++block) {
        const auto& table = tables.page_tables[block];
        for (size_t page = 0; page < table.size(); ++page) {
            if (table[page] == 0) continue;
            const uint64_t number = table[page] >> image_file_shift;
            const uint64_t slot = (table[page] & image_slot_mask) - 1; // a slot of 0 - 1 is outside, too
            if (number >= files.size())
                return fail(ErrorKind::damaged, "page {} of RAM block {} is in file {} of {}", page, block,
                            number, files.size() - 1);
            if (slot >= files[number].size())
                return fail(ErrorKind::damaged, "page {} of RAM block {} is in slot {} of {}", page, block,
                            slot, files[number].size());
            uint64_t& owner = files[number][slot];
            if (owner != no_page)
                return fail(ErrorKind::damaged, "slot {} is used twice (page {} of RAM block {})", slot, page,
                            block);
            owner = uint64_t{block} << 48 | page;
        }
    }
    return files;
}

void drop_unused_older_files(ImageTables& tables) {
    std::vector<uint64_t> number(tables.older.size() + 1, 0); // old number -> new one; 0: not used so far
    for (const auto& table : tables.page_tables)
        for (const uint64_t entry : table)
            number[entry >> image_file_shift] = 1;
    std::vector<ImageOlderFile> used;
    number[0] = 0;
    for (size_t n = 1; n < number.size(); ++n) {
        if (number[n] == 0) continue;
        used.push_back(std::move(tables.older[n - 1]));
        number[n] = used.size();
    }
    if (used.size() == tables.older.size()) {
        tables.older = std::move(used);
        return;
    }
    tables.older = std::move(used);
    for (auto& table : tables.page_tables)
        for (uint64_t& entry : table)
            entry = (entry & image_slot_mask) | number[entry >> image_file_shift] << image_file_shift;
}

} // namespace tlc
