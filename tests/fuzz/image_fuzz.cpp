// SPDX-License-Identifier: GPL-2.0-or-later
// Any bytes as a memory image: refused, or readable to its end or to a damaged chunk. The bytes reach the
// reader through a file in memory.
#include <tlc/base/fd.hpp>
#include <tlc/image/reader.hpp>

#include <sys/mman.h>

#include "fuzz.hpp"

// HDF5 loses memory of its own when it refuses a damaged file.
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() { return "leak:libhdf5"; }

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const tlc::Fd file(::memfd_create("image", MFD_CLOEXEC));
    tlc::fuzz::require(file && tlc::write_all(file.get(), std::as_bytes(std::span(data, size))),
                       "there is memory for a file");
    const auto reader = tlc::ImageReader::open(fmt::format("/proc/self/fd/{}", file.get()));
    if (!reader) return 0;
    const auto walked = reader->for_each_chunk(1, [](auto, auto, const auto&) { return tlc::Status{}; });
    tlc::fuzz::require(walked || walked.error().kind == tlc::ErrorKind::damaged, "what is wrong is damage");
    return 0;
}
