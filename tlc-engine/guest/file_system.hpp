// SPDX-License-Identifier: GPL-2.0-or-later
// Which file system a disk or a partition holds, told by its superblock. Pure function.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>

namespace tlc::guest {

// Bytes from the start that are needed to tell.
constexpr size_t superblock_bytes = 0x10048;

// "ext4" (which mounts ext2 and ext3 too), "xfs" or "btrfs"; nothing for whatever else, and for too few
// bytes.
std::optional<std::string> file_system_type(std::span<const std::byte> start);

} // namespace tlc::guest
