// SPDX-License-Identifier: GPL-2.0-or-later
// Any bytes as a memory image: refused, or readable to its end or to a damaged chunk. The bytes reach the
// reader through a file with a name (HDF5 opens no other) in memory.
#include <tlc/image/reader.hpp>

#include <fstream>

#include "../support/temporary_directory.hpp"
#include "fuzz.hpp"

// HDF5 loses memory of its own when it refuses a damaged file.
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() { return "leak:libhdf5"; }

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static const tlc::test::TemporaryDirectory directory("/dev/shm");
    const auto path = directory.path() / "memory.h5";
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file.write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
    file.close();
    tlc::fuzz::require(file.good(), "there is memory for a file");
    const auto reader = tlc::ImageReader::open(path);
    if (!reader) return 0;
    const auto walked = reader->for_each_chunk(1, [](auto, auto, const auto&) { return tlc::Status{}; });
    tlc::fuzz::require(walked || walked.error().kind == tlc::ErrorKind::damaged, "what is wrong is damage");
    return 0;
}
