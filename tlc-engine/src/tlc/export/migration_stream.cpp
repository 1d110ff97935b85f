// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/fd.hpp>
#include <tlc/export/big_endian.hpp>
#include <tlc/export/migration_stream.hpp>

#include <algorithm>

namespace tlc {
namespace {

// The values of QEMU's QEMU_VM_* (migration/savevm.h) and RAM_SAVE_FLAG_* (migration/ram.h).
constexpr uint32_t stream_magic = 0x5145564d; // "QEVM"
constexpr uint32_t stream_version = 3;
constexpr uint8_t mark_end = 0x00;
constexpr uint8_t mark_section_start = 0x01;
constexpr uint8_t mark_section_end = 0x03;
constexpr uint8_t mark_section_full = 0x04;
constexpr uint8_t mark_description = 0x06;
constexpr uint8_t mark_configuration = 0x07;
constexpr uint8_t mark_footer = 0x7e;
constexpr uint64_t ram_zero_page = 0x02;
constexpr uint64_t ram_sizes = 0x04;
constexpr uint64_t ram_page = 0x08;
constexpr uint64_t ram_end = 0x10;
constexpr uint64_t ram_same_block = 0x20;

// Any number but 0 will do: RAM is loaded before any device, and only its end looks for its start by number.
constexpr uint32_t ram_section = 0x746c63;
constexpr size_t device_header = 2 * sizeof(uint32_t);
constexpr size_t footer_size = 1 + sizeof(uint32_t);
constexpr size_t page_header = sizeof(uint64_t);

void footer(BigEndianBytes& out) {
    out.u8(mark_footer);
    out.u32(ram_section);
}

// What names a page; its block by name unless the page before was of the same.
void put_page_header(BigEndianBytes& out, const ImageBlock& block, uint64_t page, uint64_t flag, bool same) {
    out.u64(page * image_page_size | flag | (same ? ram_same_block : 0));
    if (!same) out.counted(block.id);
}

// qemu_save_device_state(): the stream's header, whole sections, the end. We send a header of our own.
Status check_device_state(std::span<const std::byte> state) {
    const auto least = device_header + 1 + footer_size + 1;
    if (state.size() < least || big_endian(state, 0, 4) != stream_magic ||
        big_endian(state, 4, 4) != stream_version ||
        big_endian(state, device_header, 1) != mark_section_full ||
        big_endian(state, state.size() - 1, 1) != mark_end)
        return fail(ErrorKind::incompatible, "the image's device state is none that QEMU has saved");
    if (big_endian(state, state.size() - 1 - footer_size, 1) != mark_footer)
        return fail(ErrorKind::incompatible, "the image's device state has no section footers, which QEMU "
                                             "expects of all but very old machine types");
    return {};
}

Status check_blocks(const std::vector<ImageBlock>& blocks) {
    for (const auto& block : blocks)
        if (block.id.size() > UINT8_MAX)
            return fail(ErrorKind::incompatible, "RAM block id \"{}\" is longer than 255 bytes", block.id);
    return {};
}

// Everything before the first page.
BigEndianBytes head(const ImageReader& image) {
    BigEndianBytes out;
    out.u32(stream_magic);
    out.u32(stream_version);
    const auto& machine = image.info().machine;
    out.u8(mark_configuration);
    out.u32(static_cast<uint32_t>(machine.size()));
    out.raw(machine);

    out.u8(mark_section_start);
    out.u32(ram_section);
    out.counted("ram");
    out.u32(0); // instance
    out.u32(4); // version
    uint64_t total = 0;
    for (const auto& block : image.blocks())
        total += block.length;
    out.u64(total | ram_sizes);
    for (const auto& block : image.blocks()) {
        out.counted(block.id);
        out.u64(block.length);
    }
    out.u64(ram_end);
    footer(out);

    out.u8(mark_section_end);
    out.u32(ram_section);
    return out;
}

// Everything after the last page.
BigEndianBytes tail(const ImageReader& image) {
    BigEndianBytes out;
    out.u64(ram_end);
    footer(out);
    out.raw(image.device_state().subspan(device_header));
    // QEMU reads over it; it is there for tools, to which we cannot describe the devices.
    constexpr std::string_view description = R"({"page_size":4096,"devices":[]})";
    out.u8(mark_description);
    out.u32(static_cast<uint32_t>(description.size()));
    out.raw(description);
    return out;
}

uint64_t chunk_size(const ImageReader& image, const ImageChunkPages& pages) {
    uint64_t size = 0;
    uint32_t last = ImagePageRef::no_block;
    for (const auto& page : pages) {
        if (page.block == ImagePageRef::no_block) continue;
        size += page_header + image_page_size;
        if (page.block != last) size += 1 + image.blocks()[page.block].id.size();
        last = page.block;
    }
    return size;
}

BigEndianBytes chunk_pages(const ImageReader& image, std::span<const std::byte> data,
                           const ImageChunkPages& pages) {
    BigEndianBytes out;
    out.reserve(chunk_size(image, pages));
    uint32_t last = ImagePageRef::no_block;
    for (size_t i = 0; i < pages.size(); ++i) {
        const auto& page = pages[i];
        if (page.block == ImagePageRef::no_block) continue;
        put_page_header(out, image.blocks()[page.block], page.page, ram_page, page.block == last);
        out.raw(data.subspan(i * image_page_size, image_page_size));
        last = page.block;
    }
    return out;
}

// Returns where the next byte belongs.
Result<uint64_t> write_zero_pages(const ImageReader& image, int fd, uint64_t at) {
    constexpr size_t flush_at = size_t{1} << 20;
    BigEndianBytes out;
    const auto flush = [&]() -> Status {
        TLC_TRY(write_at(fd, out.span(), at));
        at += out.size();
        out.clear();
        return {};
    };
    for (uint32_t block = 0; block < image.blocks().size(); ++block) {
        bool same = false;
        const auto table = image.page_table(block);
        for (uint64_t page = 0; page < table.size(); ++page) {
            if (table[page] != 0) continue;
            put_page_header(out, image.blocks()[block], page, ram_zero_page, same);
            out.u8(0);
            same = true;
            if (out.size() >= flush_at) TLC_TRY(flush());
        }
    }
    TLC_TRY(flush());
    return at;
}

} // namespace

Result<uint64_t> write_migration_stream(const ImageReader& image, int fd, unsigned threads,
                                        std::atomic<uint64_t>& done) {
    TLC_TRY(check_device_state(image.device_state()));
    TLC_TRY(check_blocks(image.blocks()));
    const auto before = head(image);
    TLC_TRY(write_at(fd, before.span(), 0));
    // The page tables tell where the pages of each chunk belong in the file, before any is read.
    TLC_TRY_ASSIGN(at, write_zero_pages(image, fd, before.size()));
    const auto chunks = image.needed_chunks();
    std::vector<std::vector<uint64_t>> places(image.older_files().size() + 1);
    for (uint32_t file = 0; file < places.size(); ++file)
        places[file].resize(image.chunk_count(file));
    for (const auto& chunk : chunks) {
        places[chunk.file][chunk.number] = at;
        at += chunk_size(image, image.chunk_pages(chunk));
    }
    TLC_TRY(image.for_each_of(
        chunks, threads,
        [&](const ImageChunk& chunk, std::span<const std::byte> data, const ImageChunkPages& pages) {
            const auto bytes = chunk_pages(image, data, pages);
            auto written = write_at(fd, bytes.span(), places[chunk.file][chunk.number]);
            if (written) done += image_chunk_size;
            return written;
        }));
    const auto after = tail(image);
    TLC_TRY(write_at(fd, after.span(), at));
    return at + after.size();
}

} // namespace tlc
