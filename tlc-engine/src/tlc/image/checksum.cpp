// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/image/checksum.hpp>

#include <fmt/format.h>

#include <xxhash.h>

namespace tlc {

std::string Checksum::text() const { return fmt::format("{:016x}{:016x}", high, low); }

Checksum checksum(std::span<const std::byte> data) {
    const XXH128_hash_t hash = XXH3_128bits(data.data(), data.size());
    return {hash.low64, hash.high64};
}

} // namespace tlc
