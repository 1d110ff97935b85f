// SPDX-License-Identifier: GPL-2.0-or-later
// XXH3-128 as the image format uses it: two numbers in the chunk table, 32 hex digits (high half first, the
// form xxh128sum prints) in attributes. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace tlc {

struct Checksum {
    uint64_t low = 0;
    uint64_t high = 0;

    bool operator==(const Checksum&) const = default;
    std::string text() const;
};

Checksum checksum(std::span<const std::byte> data);

} // namespace tlc
