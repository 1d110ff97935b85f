// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/files.hpp>
#include <tlc/disk/disk_sums.hpp>
#include <tlc/disk/line_reader.hpp>
#include <tlc/disk/packed_index.hpp>

namespace tlc {
namespace {

constexpr std::string_view first_line = "TLC-DISK-INDEX 1";
constexpr size_t largest_text = size_t{1} << 30;
constexpr uint64_t largest_file = uint64_t{1} << 46;
constexpr size_t most_packs = 1024;

} // namespace

std::string packed_index_text(const PackedIndex& index) {
    std::string text = fmt::format("{}\n", first_line);
    for (const auto& name : index.packs)
        text += fmt::format("pack {}\n", name);
    for (const auto& [name, file] : index.files) {
        text += fmt::format("file {} {}\n", file.size, name);
        for (const auto& s : file.stretches)
            text += fmt::format("{} {} {} {}\n", s.sum.text(), s.pack, s.offset, s.length);
    }
    return text;
}

Result<PackedIndex> parse_packed_index(std::string_view text) {
    const auto damaged = [](std::string_view why) {
        return fail(ErrorKind::damaged, "the packed disk's index is unreadable: {}", why);
    };
    LineReader reader(text);
    if (!reader.next_is(first_line) || !reader.line_done()) return damaged("wrong first line");
    PackedIndex index;
    while (reader.next_is("pack ")) {
        const auto name = reader.name();
        if (!name || index.packs.size() == most_packs) return damaged("an impossible pack");
        index.packs.push_back(*name);
    }
    while (!reader.at_end()) {
        if (!reader.next_is("file ")) return damaged("a file was expected");
        const auto size = reader.number();
        if (!size || *size > largest_file) return damaged("no size");
        const auto name = reader.name();
        if (!name || index.files.contains(*name)) return damaged("an impossible file name");
        auto& file = index.files[*name];
        file.size = *size;
        for (uint64_t at = 0; at < *size; at += disk_stretch) {
            const auto sum = reader.next() ? reader.sum() : std::nullopt;
            const auto pack = reader.number();
            const auto offset = reader.number();
            const auto length = reader.number();
            if (!sum || !pack || !offset || !length || !reader.line_done())
                return damaged("a stretch was expected");
            const uint64_t plain = std::min(disk_stretch, *size - at);
            if (*pack > index.packs.size() || *length > plain || (*pack == 0) != (*length == 0))
                return damaged("an impossible stretch");
            file.stretches.push_back(
                {*sum, static_cast<uint32_t>(*pack), *offset, static_cast<uint32_t>(*length)});
        }
    }
    return index;
}

Result<PackedIndex> read_packed_index(const std::filesystem::path& directory, std::string_view digest) {
    const auto path = directory / packed_index_file;
    const auto text = read_text(path, largest_text);
    if (!text) return fail(ErrorKind::damaged, "{}", text.error().message);
    if (checksum(std::as_bytes(std::span(*text))).text() != digest)
        return fail(ErrorKind::damaged, "{} does not match the manifest", path.string());
    auto index = parse_packed_index(*text);
    if (!index) return in_context(index.error(), path.string());
    return index;
}

} // namespace tlc
