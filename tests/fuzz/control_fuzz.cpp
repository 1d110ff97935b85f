// SPDX-License-Identifier: GPL-2.0-or-later
// Any bytes as what the guest's agent writes to its control port, through a file as QEMU leaves it.
#include <tlc/supervisor/control.hpp>

#include <sys/mman.h>

#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const tlc::Fd file(::memfd_create("control", MFD_CLOEXEC));
    tlc::fuzz::require(file && tlc::write_all(file.get(), std::as_bytes(std::span(data, size))),
                       "there is memory for a file");
    auto reader = tlc::ControlReader::open(fmt::format("/proc/self/fd/{}", file.get()));
    tlc::fuzz::require(reader.has_value(), "the file opens");
    const auto events = reader->poll();
    tlc::fuzz::require(events.has_value(), "control lines can always be read");
    for (const auto& event : *events)
        tlc::fuzz::require(event.code >= 0 && event.code <= 255, "a code is a byte");
    return 0;
}
