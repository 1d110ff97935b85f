// SPDX-License-Identifier: GPL-2.0-or-later
// Any text as a job request: refused, or written back to an equal one.
#include <tlc/request/request.hpp>

#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const auto request = tlc::from_text(tlc::fuzz::text(data, size));
    if (!request) return 0;
    const auto again = tlc::from_text(tlc::to_text(*request));
    tlc::fuzz::require(again && *again == *request, "a request that was read can be written");
    return 0;
}
