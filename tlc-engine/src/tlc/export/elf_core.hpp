// SPDX-License-Identifier: GPL-2.0-or-later
// A memory image as an ELF core file that gdb and crash open: the guest's physical memory at its addresses,
// and the processors' registers. Zero pages are holes of the file.
#pragma once

#include <tlc/base/result.hpp>
#include <tlc/image/reader.hpp>

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

namespace tlc {

struct ElfCoreReport {
    uint64_t bytes = 0; // the file's size, holes included
    size_t processors = 0;
    std::string no_registers;          // why there are none; empty: there are
    std::vector<std::string> left_out; // RAM blocks whose address is not known
};

// Writes it from the start of `fd`, an empty file, with `threads` threads. `done` counts the bytes of
// image.used_bytes() that are written. ErrorKind::damaged names the chunk; incompatible: see
// physical_map.hpp.
Result<ElfCoreReport> write_elf_core(const ImageReader& image, int fd, unsigned threads,
                                     std::atomic<uint64_t>& done);

} // namespace tlc
