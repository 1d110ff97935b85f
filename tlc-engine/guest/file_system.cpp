// SPDX-License-Identifier: GPL-2.0-or-later
#include <guest/file_system.hpp>

#include <algorithm>
#include <array>
#include <string_view>

namespace tlc::guest {
namespace {

struct Magic {
    const char* type;
    size_t offset;
    std::string_view bytes;
};

constexpr std::array<Magic, 3> magics = {
    {{"ext4", 0x438, "\x53\xef"}, {"xfs", 0, "XFSB"}, {"btrfs", 0x10040, "_BHRfS_M"}}};

} // namespace

std::optional<std::string> file_system_type(std::span<const std::byte> start) {
    for (const auto& magic : magics) {
        if (start.size() < magic.offset + magic.bytes.size()) continue;
        const auto found = start.subspan(magic.offset, magic.bytes.size());
        if (std::ranges::equal(found, std::as_bytes(std::span(magic.bytes)))) return magic.type;
    }
    return {};
}

} // namespace tlc::guest
