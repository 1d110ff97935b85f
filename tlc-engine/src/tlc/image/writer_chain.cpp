// SPDX-License-Identifier: GPL-2.0-or-later
// Images that hold only what has changed since an older one.
#include <tlc/image/writer_state.hpp>

#include <algorithm>

namespace tlc {

Status ImageWriter::State::write_older_files() {
    TLC_TRY_ASSIGN(group, hdf::create_group(file.get(), "older"));
    TLC_TRY(hdf::write_number(group.get(), "files", tables.older.size()));
    for (size_t n = 0; n < tables.older.size(); ++n) {
        TLC_TRY_ASSIGN(one, hdf::create_group(group.get(), std::to_string(n + 1).c_str()));
        TLC_TRY(hdf::write_text(one.get(), "identity", tables.older[n].identity));
        TLC_TRY(hdf::write_number(one.get(), "chunks", tables.older[n].chunks));
        TLC_TRY(hdf::write_text(one.get(), "chunks_xxh3_128", tables.older[n].chunks_checksum));
    }
    return {};
}

// Begins where the base ends.
Status ImageWriter::State::adopt(std::optional<ImageBase> base) {
    in_chain = true;
    if (!base) {
        begin_with_zeros();
        for (const auto& table : tables.page_tables)
            hashes.emplace_back(table.size());
        return {};
    }
    const auto same_size = [](const auto& table, const ImageBlock& block) {
        return table.size() == block.length / image_page_size;
    };
    if (!std::equal(base->page_tables.begin(), base->page_tables.end(), tables.blocks.begin(),
                    tables.blocks.end(), same_size))
        return fail(ErrorKind::usage, "the base is an image of other memory");
    tables.older = std::move(base->older);
    tables.page_tables = std::move(base->page_tables);
    hashes = std::move(base->hashes);
    return check_older_files(tables.older);
}

Result<ImageWriter> ImageWriter::create_in_chain(const std::filesystem::path& path, const ImageInfo& info,
                                                 std::vector<ImageBlock> blocks,
                                                 std::optional<ImageBase> base, Compression compression) {
    TLC_TRY_ASSIGN(writer, begin(path, info, std::move(blocks), compression));
    TLC_TRY(writer.state_->adopt(std::move(base)));
    return std::move(writer);
}

ImageBase ImageWriter::take_base() {
    auto& tables = state_->tables;
    ImageBase base{tables.info.identity, std::move(tables.older), std::move(tables.page_tables),
                   std::move(state_->hashes)};
    if (tables.chunks.empty()) return base; // nothing of it is in this file
    base.older.push_back({tables.info.identity, tables.chunks.size(), chunks_checksum(tables.chunks).text()});
    const uint64_t number = base.older.size();
    for (auto& table : base.page_tables)
        for (uint64_t& entry : table)
            if (entry != 0 && entry >> image_file_shift == 0) entry |= number << image_file_shift;
    return base;
}

} // namespace tlc
