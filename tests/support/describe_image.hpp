// SPDX-License-Identifier: GPL-2.0-or-later
// All that is in an image as text, the same that tests/support/read_image.py --describe prints.
#pragma once

#include <tlc/image/reader.hpp>
#include <tlc/image/tables.hpp>

#include <map>

namespace tlc::test {

// Reads every chunk the image needs: for each page that is not zero the checksum of its bytes.
inline Result<std::string> describe_pages(const ImageReader& image) {
    std::map<std::pair<uint32_t, uint64_t>, std::string> pages;
    TLC_TRY(
        image.for_each_chunk(1, [&](const ImageChunk&, std::span<const std::byte> data, const auto& refs) {
            for (size_t i = 0; i < refs.size(); ++i)
                if (refs[i].block != ImagePageRef::no_block)
                    pages[{refs[i].block, refs[i].page}] =
                        checksum(data.subspan(i * image_page_size, image_page_size)).text();
            return Status{};
        }));
    std::string text;
    for (const auto& [place, sum] : pages)
        text += fmt::format("page {} {} {}\n", place.first, place.second, sum);
    return text;
}

inline Result<std::string> describe_image(const std::filesystem::path& path, const std::string& digest = {}) {
    TLC_TRY_ASSIGN(image, ImageReader::open(path, digest));
    std::string text = fmt::format("TLC-MEMORY-IMAGE {}\n", image.older_files().empty() ? 1 : 2);
    for (const auto& field : info_fields)
        text += fmt::format("{} {}\n", field.name, image.info().*field.text);
    text += fmt::format("pause_ns {}\nlatency_ns {}\npage_size {}\n", image.counters().pause_ns,
                        image.counters().latency_ns, image_page_size);
    for (const auto& [name, value] : image.counters().further)
        text += fmt::format("counter {} {}\n", name, value);
    for (size_t n = 0; n < image.older_files().size(); ++n) {
        const auto& file = image.older_files()[n];
        text += fmt::format("older {} {} {} {}\n", n + 1, file.chunks, file.chunks_checksum, file.identity);
    }
    for (uint32_t n = 0; n < image.blocks().size(); ++n) {
        const auto& block = image.blocks()[n];
        text += fmt::format("block {} {} {} {} {}\n", n, block.length, block.page_size,
                            table_checksum(image.page_table(n)).text(), block.id);
    }
    text += fmt::format("device_state {} {}\n", image.device_state().size(),
                        checksum(image.device_state()).text());
    TLC_TRY_ASSIGN(pages, describe_pages(image));
    return text + pages + fmt::format("digest {}\n", image.digest());
}

} // namespace tlc::test
