// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/files.hpp>
#include <tlc/disk/packed_disk.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <random>

#include "../support/temporary_directory.hpp"

namespace tlc {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class PackedDiskTest : public testing::Test {
  protected:
    PackedDiskTest() {
        fs::create_directory(disk_);
        write(0, 6, 1);
        std::ofstream(disk_ / "stdout") << "a line\n";
        fs::resize_file(disk_ / "root", 10 * disk_stretch + 17); // the rest is a hole
    }
    // Random bytes into stretches of "root".
    void write(uint64_t first, uint64_t count, uint32_t seed) {
        std::mt19937 random(seed);
        std::fstream file(disk_ / "root", std::ios::binary | std::ios::in | std::ios::out | std::ios::app);
        file.close();
        file.open(disk_ / "root", std::ios::binary | std::ios::in | std::ios::out);
        file.seekp(static_cast<std::streamoff>(first * disk_stretch));
        for (uint64_t n = 0; n < count * disk_stretch / 4; ++n) {
            const auto word = static_cast<uint32_t>(random());
            file.write(reinterpret_cast<const char*>(&word), 4);
        }
    }
    fs::path checkpoint(int n) {
        const auto path = directory_ / std::to_string(n);
        fs::create_directory(path);
        return path;
    }
    Result<PackReport> pack(const fs::path& to, const PackedBase* base = nullptr) {
        Throttle throttle(0);
        return pack_disk(disk_, *sum_disk(disk_), to, base, throttle);
    }
    // Unpacks and compares with the disk as it is.
    void expect_same(const fs::path& from, const std::string& digest) {
        const auto index = read_packed_index(from, digest);
        ASSERT_TRUE(index) << index.error().message;
        EXPECT_TRUE(check_packed_disk(from, *index));
        test::TemporaryDirectory live("/var/tmp");
        const auto unpacked = unpack_disk(from, *index, live.path());
        ASSERT_TRUE(unpacked) << unpacked.error().message;
        EXPECT_EQ(*sum_disk(live.path()), *sum_disk(disk_));
    }

    test::TemporaryDirectory directory_{"/var/tmp"};
    const fs::path disk_ = directory_ / "disk";
};

TEST_F(PackedDiskTest, HoldsEveryByte) {
    const auto to = checkpoint(1);
    const auto report = pack(to);
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(report->packs.size(), 1U);
    EXPECT_LT(report->written_bytes, 7 * disk_stretch); // no zeros
    expect_same(to, report->digest);
}

TEST_F(PackedDiskTest, WritesOnlyWhatHasChangedAndOutlivesTheOlderOne) {
    const auto first = checkpoint(1);
    auto report = *pack(first);
    write(2, 1, 2);
    std::ofstream(disk_ / "stdout", std::ios::app) << "another\n";
    const auto second = checkpoint(2);
    const PackedBase base{first, *read_packed_index(first, report.digest)};
    report = *pack(second, &base);
    EXPECT_EQ(report.packs.size(), 2U);
    EXPECT_LT(report.written_bytes, 2 * disk_stretch);
    fs::remove_all(first);
    expect_same(second, report.digest);
}

TEST_F(PackedDiskTest, LongChainsAndWasteBeginAnew) {
    auto last = checkpoint(0);
    auto report = *pack(last);
    size_t longest = 0;
    for (int n = 1; n <= 40; ++n) {
        write(static_cast<uint64_t>(n % 6), 1, static_cast<uint32_t>(n));
        const PackedBase base{last, *read_packed_index(last, report.digest)};
        last = checkpoint(n);
        report = *pack(last, &base);
        longest = std::max(longest, report.packs.size());
        uint64_t stored = 0;
        for (const auto& [name, size] : report.packs)
            stored += size;
        EXPECT_LE(stored, 3 * 7 * disk_stretch) << n;
    }
    EXPECT_GT(longest, 2U);
    EXPECT_LE(longest, 17U);
    expect_same(last, report.digest);
}

TEST_F(PackedDiskTest, ADiskThatIsNotWhatWasSavedIsNotPacked) {
    const auto sums = *sum_disk(disk_);
    write(1, 1, 9);
    Throttle throttle(0);
    const auto report = pack_disk(disk_, sums, checkpoint(1), nullptr, throttle);
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().kind, ErrorKind::damaged);
    EXPECT_THAT(report.error().message, HasSubstr("root: the stretch at 1048576"));
}

TEST_F(PackedDiskTest, DamageIsNamed) {
    const auto to = checkpoint(1);
    const auto report = *pack(to);
    const auto index = *read_packed_index(to, report.digest);
    const auto pack_file = to / report.packs.begin()->first;
    std::fstream(pack_file, std::ios::binary | std::ios::in | std::ios::out)
        .seekp(100000)
        .put('\x5a')
        .put('\x5b');
    auto checked = check_packed_disk(to, index);
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().kind, ErrorKind::damaged);
    EXPECT_THAT(checked.error().message, HasSubstr(pack_file.filename().string()));
    fs::resize_file(pack_file, 50);
    EXPECT_THAT(check_packed_disk(to, index).error().message, HasSubstr("cannot be read"));
    std::ofstream(to / packed_index_file, std::ios::app) << "\n";
    EXPECT_EQ(read_packed_index(to, report.digest).error().kind, ErrorKind::damaged);
}

TEST_F(PackedDiskTest, IndexesThatAreNotOursAreRefused) {
    const std::string good = "TLC-DISK-INDEX 1\npack p\nfile 5 x\n00112233445566778899aabbccddeeff 1 16 5\n";
    ASSERT_TRUE(parse_packed_index(good)) << parse_packed_index(good).error().message;
    EXPECT_EQ(packed_index_text(*parse_packed_index(good)), good);
    for (const char* bad : {"", "TLC-DISK-INDEX 1", "TLC-DISK-INDEX 1 \n", "TLC-DISK-INDEX 1\npack ../p\n",
                            "TLC-DISK-INDEX 1\nfile 5 x\n00112233445566778899aabbccddeeff 1 16 5\n",
                            "TLC-DISK-INDEX 1\npack p\nfile 5 x\n00112233445566778899aabbccddeeff 1 16 6\n",
                            "TLC-DISK-INDEX 1\npack p\nfile 5 x\n00112233445566778899aabbccddeeff 0 16 5\n",
                            "TLC-DISK-INDEX 1\npack p\nfile 5 x\n00112233445566778899aabbccddeeff 1 16\n",
                            "TLC-DISK-INDEX 1\npack p\nfile 5 x\n", "TLC-DISK-INDEX 1\nfile 0 x\nfile 0 x\n"})
        EXPECT_FALSE(parse_packed_index(bad)) << bad;
}

} // namespace
} // namespace tlc
