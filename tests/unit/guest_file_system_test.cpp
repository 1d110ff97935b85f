// SPDX-License-Identifier: GPL-2.0-or-later
#include <gtest/gtest.h>
#include <guest/file_system.hpp>

#include <cstring>
#include <string_view>
#include <vector>

namespace tlc::guest {
namespace {

std::vector<std::byte> disk_with(size_t offset, std::string_view bytes) {
    std::vector<std::byte> disk(superblock_bytes);
    std::memcpy(disk.data() + offset, bytes.data(), bytes.size());
    return disk;
}

TEST(FileSystem, IsToldByItsSuperblock) {
    EXPECT_EQ(file_system_type(disk_with(1080, "\x53\xef")), "ext4");
    EXPECT_EQ(file_system_type(disk_with(0, "XFSB")), "xfs");
    EXPECT_EQ(file_system_type(disk_with(0x10000 + 0x40, "_BHRfS_M")), "btrfs");
}

TEST(FileSystem, OfAPartitionTableOrNothingIsNone) {
    EXPECT_EQ(file_system_type(disk_with(512, "EFI PART")), std::nullopt);
    EXPECT_EQ(file_system_type(disk_with(1, "XFSB")), std::nullopt);
    EXPECT_EQ(file_system_type({}), std::nullopt);
}

TEST(FileSystem, MayLieOnADiskSmallerThanItsOthers) {
    const auto disk = disk_with(1080, "\x53\xef");
    EXPECT_EQ(file_system_type(std::span(disk).first(1082)), "ext4");
    EXPECT_EQ(file_system_type(std::span(disk).first(1081)), std::nullopt);
}

} // namespace
} // namespace tlc::guest
