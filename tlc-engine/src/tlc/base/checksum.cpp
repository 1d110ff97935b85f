// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/checksum.hpp>

#include <fmt/format.h>

// Its code, not its library: this is linked into slurmstepd, too.
#define XXH_INLINE_ALL
#include <xxhash.h>

namespace tlc {

std::string Checksum::text() const { return fmt::format("{:016x}{:016x}", high, low); }

std::optional<Checksum> parse_checksum(std::string_view text) {
    if (text.size() != 32) return std::nullopt;
    uint64_t halves[2] = {0, 0};
    for (size_t i = 0; i < text.size(); ++i) {
        const auto digit = std::string_view("0123456789abcdef").find(text[i]);
        if (digit == std::string_view::npos) return std::nullopt;
        halves[i / 16] = halves[i / 16] << 4 | digit;
    }
    return Checksum{halves[1], halves[0]};
}

Checksum checksum(std::span<const std::byte> data) {
    const XXH128_hash_t hash = XXH3_128bits(data.data(), data.size());
    return {hash.low64, hash.high64};
}

} // namespace tlc
