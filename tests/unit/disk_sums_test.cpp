// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/disk/disk_sums.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <random>

#include "../support/temporary_directory.hpp"

namespace tlc {
namespace {

using testing::HasSubstr;

class DiskSumsTest : public testing::Test {
  protected:
    // Random bytes, from which a stretch differs wherever it lies.
    void write(const std::string& name, uint64_t size, uint32_t seed) {
        std::mt19937 random(seed);
        std::string bytes(size, '\0');
        for (char& c : bytes)
            c = static_cast<char>(random());
        std::ofstream(directory_ / name, std::ios::binary) << bytes;
    }
    void change(const std::string& name, uint64_t at, char to) {
        std::fstream file(directory_ / name, std::ios::binary | std::ios::in | std::ios::out);
        file.seekp(static_cast<std::streamoff>(at));
        file.put(to);
    }
    DiskSums sums() { return *sum_disk(directory_.path()); }

    test::TemporaryDirectory directory_{"/var/tmp"};
};

TEST_F(DiskSumsTest, TellOneChangedByteAndWhereItIs) {
    write("root", 3 * disk_stretch + 5, 1);
    write("stdout", 100, 2);
    const auto before = sums();
    EXPECT_EQ(before.files.at("root").stretches.size(), 4U);
    EXPECT_TRUE(check_disk(directory_.path(), before));
    change("root", disk_stretch + 7, '\x11');
    auto checked = check_disk(directory_.path(), before);
    if (checked) { // the byte was that already
        change("root", disk_stretch + 7, '\x12');
        checked = check_disk(directory_.path(), before);
    }
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().kind, ErrorKind::damaged);
    EXPECT_THAT(checked.error().message, HasSubstr("root: bytes 1048576 to 2097151"));
}

TEST_F(DiskSumsTest, TellMissingShortAndForeignFiles) {
    write("root", 10, 1);
    const auto before = sums();
    std::filesystem::resize_file(directory_ / "root", 9);
    EXPECT_THAT(check_disk(directory_.path(), before).error().message, HasSubstr("9 bytes instead of 10"));
    std::filesystem::remove(directory_ / "root");
    EXPECT_EQ(check_disk(directory_.path(), before).error().kind, ErrorKind::damaged);
    std::filesystem::create_symlink("/etc/passwd", directory_ / "root");
    EXPECT_EQ(check_disk(directory_.path(), before).error().kind, ErrorKind::damaged);
}

TEST_F(DiskSumsTest, WhatLiesInTheSamePlaceIsNotReadAgain) {
    // A hard link is the frozen file of an earlier checkpoint itself.
    const auto older = directory_ / "older";
    const auto newer = directory_ / "newer";
    std::filesystem::create_directory(older);
    std::filesystem::create_directory(newer);
    write("older/root", 4 * disk_stretch, 1);
    std::filesystem::create_hard_link(older / "root", newer / "root");
    std::ofstream(newer / "stdout") << "new";
    uint64_t read = 0;
    SummedDisk before{older, *sum_disk(older, nullptr, &read)};
    EXPECT_EQ(read, 4 * disk_stretch);
    const auto after = sum_disk(newer, &before, &read);
    ASSERT_TRUE(after) << after.error().message;
    EXPECT_EQ(*after, *sum_disk(newer));
    // 3 bytes of stdout; all where the file system does not tell places.
    EXPECT_TRUE(read == 3 || read == 4 * disk_stretch + 3) << read;
}

TEST_F(DiskSumsTest, HolesCountAsZerosAndAreNotRead) {
    std::ofstream(directory_ / "sparse").put('x');
    std::filesystem::resize_file(directory_ / "sparse", 64 * disk_stretch);
    uint64_t read = 0;
    const auto sparse = *sum_disk(directory_.path(), nullptr, &read);
    EXPECT_TRUE(read == disk_stretch || read == 64 * disk_stretch) << read;
    std::filesystem::remove(directory_ / "sparse");
    std::string plain(64 * disk_stretch, '\0');
    plain[0] = 'x';
    std::ofstream(directory_ / "sparse", std::ios::binary) << plain;
    EXPECT_EQ(sums(), sparse);
}

TEST_F(DiskSumsTest, TextIsReadBackAndRefusedWhenItIsNotOurs) {
    write("root", 2 * disk_stretch + 1, 1);
    write("a name with spaces", 0, 1);
    const auto text = disk_sums_text(sums());
    EXPECT_EQ(*parse_disk_sums(text), sums());
    for (size_t n = 0; n < text.size(); ++n) {
        const auto cut = parse_disk_sums(text.substr(0, n));
        if (cut) {
            EXPECT_EQ(disk_sums_text(*cut), text.substr(0, n)) << n;
        }
    }
    for (const char* bad : {"", "TLC-DISK-SUMS 2\n", "TLC-DISK-SUMS 1\nfile 5 ../x\n",
                            "TLC-DISK-SUMS 1\nfile 5 x\n", "TLC-DISK-SUMS 1\nfile 99999999999999999999 x\n",
                            "TLC-DISK-SUMS 1\nnews\n", "TLC-DISK-SUMS 1\nfile 0 x\nfile 0 x\n"})
        EXPECT_FALSE(parse_disk_sums(bad)) << bad;
}

} // namespace
} // namespace tlc
