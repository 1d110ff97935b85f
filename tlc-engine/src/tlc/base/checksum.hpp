// SPDX-License-Identifier: GPL-2.0-or-later
// XXH3-128 with seed 0, as all formats here use it; as text 32 hex digits, high half first, the form
// xxh128sum prints. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace tlc {

struct Checksum {
    uint64_t low = 0;
    uint64_t high = 0;

    bool operator==(const Checksum&) const = default;
    std::string text() const;
};

// What text() made; nothing for anything else.
std::optional<Checksum> parse_checksum(std::string_view text);

Checksum checksum(std::span<const std::byte> data);

} // namespace tlc
