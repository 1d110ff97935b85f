// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/fd.hpp>
#include <tlc/export/elf_core.hpp>
#include <tlc/export/elf_notes.hpp>
#include <tlc/export/physical_map.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <elf.h>
#include <optional>
#include <unistd.h>

namespace tlc {
namespace {

constexpr uint64_t up_to_page(uint64_t bytes) {
    return (bytes + image_page_size - 1) / image_page_size * image_page_size;
}

Elf64_Ehdr file_header(size_t segments) {
    Elf64_Ehdr header{};
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_ident[EI_VERSION] = EV_CURRENT;
    header.e_type = ET_CORE;
    header.e_machine = EM_X86_64;
    header.e_version = EV_CURRENT;
    header.e_phoff = sizeof header;
    header.e_ehsize = sizeof header;
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_phnum = static_cast<Elf64_Half>(segments);
    return header;
}

// A range of physical memory and where it begins in the file.
struct Segment {
    PhysicalRange range;
    uint64_t file_offset = 0;
};

struct Layout {
    std::vector<std::byte> head; // headers and notes
    std::vector<Segment> segments;
    uint64_t size = 0;
};

Layout lay_out(const std::vector<PhysicalRange>& ranges, const std::vector<std::byte>& notes) {
    Layout layout;
    std::vector<Elf64_Phdr> headers;
    const size_t count = ranges.size() + (notes.empty() ? 0 : 1);
    const uint64_t notes_at = sizeof(Elf64_Ehdr) + count * sizeof(Elf64_Phdr);
    if (!notes.empty()) {
        Elf64_Phdr header{};
        header.p_type = PT_NOTE;
        header.p_offset = notes_at;
        header.p_filesz = header.p_memsz = notes.size();
        header.p_align = 4;
        headers.push_back(header);
    }
    layout.size = up_to_page(notes_at + notes.size());
    for (const auto& range : ranges) {
        Elf64_Phdr header{};
        header.p_type = PT_LOAD;
        header.p_flags = PF_R | PF_W | PF_X;
        header.p_offset = layout.size;
        header.p_vaddr = header.p_paddr = range.address;
        header.p_filesz = header.p_memsz = range.length;
        header.p_align = image_page_size;
        headers.push_back(header);
        layout.segments.push_back({range, layout.size});
        layout.size += range.length;
    }
    const auto append = [&](std::span<const std::byte> bytes) {
        layout.head.insert(layout.head.end(), bytes.begin(), bytes.end());
    };
    const auto header = file_header(count);
    append(std::as_bytes(std::span(&header, 1)));
    append(std::as_bytes(std::span(headers)));
    append(notes);
    return layout;
}

// Where a page belongs in the file; nothing if it is not in it.
std::optional<uint64_t> place_of(const std::vector<Segment>& segments, const ImagePageRef& page) {
    const uint64_t offset = page.page * image_page_size;
    for (const auto& [range, file_offset] : segments)
        if (range.block == page.block && offset >= range.offset && offset - range.offset < range.length)
            return file_offset + (offset - range.offset);
    return std::nullopt;
}

// Pages that follow one another in both are written at once.
Status write_pages(int fd, const std::vector<Segment>& segments, std::span<const std::byte> data,
                   const ImageChunkPages& pages) {
    for (size_t first = 0; first < pages.size();) {
        const auto place =
            pages[first].block == ImagePageRef::no_block ? std::nullopt : place_of(segments, pages[first]);
        size_t count = 1;
        if (place) {
            while (first + count < pages.size() && pages[first + count].block == pages[first].block &&
                   place_of(segments, pages[first + count]) == *place + count * image_page_size)
                ++count;
            TLC_TRY(write_at(fd, data.subspan(first * image_page_size, count * image_page_size), *place));
        }
        first += count;
    }
    return {};
}

} // namespace

Result<ElfCoreReport> write_elf_core(const ImageReader& image, int fd, unsigned threads,
                                     std::atomic<uint64_t>& done) {
    TLC_TRY_ASSIGN(ranges, physical_map(image.info().machine, image.blocks()));
    ElfCoreReport report;
    std::vector<std::byte> notes;
    if (const auto cpus = cpu_states(image.device_state())) {
        notes = elf_notes(*cpus);
        report.processors = cpus->size();
    } else {
        report.no_registers = cpus.error().message;
    }
    for (uint32_t block = 0; block < image.blocks().size(); ++block)
        if (std::none_of(ranges.begin(), ranges.end(),
                         [&](const auto& range) { return range.block == block; }))
            report.left_out.push_back(image.blocks()[block].id);
    const auto layout = lay_out(ranges, notes);
    report.bytes = layout.size;
    if (::ftruncate(fd, static_cast<off_t>(layout.size)) != 0)
        return fail_errno(errno, fmt::format("cannot make the core file {} bytes large", layout.size));
    TLC_TRY(write_at(fd, layout.head, 0));
    TLC_TRY(image.for_each_chunk(
        threads, [&](const ImageChunk&, std::span<const std::byte> data, const ImageChunkPages& pages) {
            auto written = write_pages(fd, layout.segments, data, pages);
            if (written) done += image_chunk_size;
            return written;
        }));
    return report;
}

} // namespace tlc
