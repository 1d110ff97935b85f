// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/files.hpp>
#include <tlc/disk/disk.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>

#include "../support/no_block_devices.hpp"
#include "../support/temporary_directory.hpp"

namespace tlc {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

void write(const fs::path& path, const std::string& text) { std::ofstream(path) << text; }

TEST(OpenDisk, says_what_to_do_off_btrfs) {
    const auto disk = open_disk("/proc");
    ASSERT_FALSE(disk);
    EXPECT_EQ(disk.error().kind, ErrorKind::incompatible);
    EXPECT_THAT(disk.error().message, HasSubstr("--vm-checkpoint-dir"));
    EXPECT_THAT(open_disk("/nowhere/at/all").error().message, HasSubstr("/nowhere/at/all"));
}

class Btrfs : public ::testing::Test {
  protected:
    fs::path root;
    std::unique_ptr<Disk> disk;
    test::NoBlockDevices none;

    void SetUp() override {
        const char* directory = std::getenv("TLC_TEST_BTRFS");
        if (directory == nullptr) GTEST_SKIP() << "TLC_TEST_BTRFS names no directory on Btrfs";
        root = fs::path(directory) / ::testing::UnitTest::GetInstance()->current_test_info()->name();
        fs::create_directory(root);
        const char* kind = std::getenv("TLC_TEST_DISK_KIND");
        auto opened = open_disk(root, kind == nullptr ? "auto" : kind);
        ASSERT_TRUE(opened) << opened.error().message;
        disk = std::move(*opened);
    }

    fs::path live() {
        const auto made = disk->create_live(root / "live-1");
        EXPECT_TRUE(made) << made.error().message;
        write(root / "live-1/root.qcow2", "before");
        return root / "live-1";
    }
};

TEST_F(Btrfs, makes_a_private_live_disk_once) {
    EXPECT_EQ(disk->kind(), "btrfs");
    const auto path = live();
    struct stat info {};
    ASSERT_EQ(::stat(path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0700u);
    const auto again = disk->create_live(path);
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().kind, ErrorKind::busy);
}

TEST_F(Btrfs, freezes_what_was_there_and_restores_it) {
    const auto path = live();
    const auto frozen = root / "disk";
    ASSERT_TRUE(disk->prepare(path, frozen, none));
    // Not synced by anyone: the snapshot has to take what is only in memory.
    write(path / "stdout", "late");
    const auto taken = disk->snapshot(path, frozen, none);
    ASSERT_TRUE(taken) << taken.error().message;
    const auto settled = disk->settle(frozen);
    ASSERT_TRUE(settled) << settled.error().message;

    write(path / "root.qcow2", "after");
    EXPECT_EQ(*read_text(frozen / "root.qcow2"), "before");
    EXPECT_EQ(*read_text(frozen / "stdout"), "late");
    std::ofstream refused(frozen / "stdout");
    EXPECT_FALSE(refused.is_open());

    const auto restored = disk->restore(frozen, root / "live-2");
    ASSERT_TRUE(restored) << restored.error().message;
    write(root / "live-2/stdout", "more");
    EXPECT_EQ(*read_text(root / "live-2/stdout"), "more");
    EXPECT_EQ(*read_text(root / "live-2/root.qcow2"), "before");
    EXPECT_EQ(*read_text(frozen / "stdout"), "late");
    EXPECT_EQ(*read_text(path / "root.qcow2"), "after");
}

TEST_F(Btrfs, does_not_take_a_snapshot_into_a_directory_or_of_one) {
    const auto path = live();
    fs::create_directory(root / "disk");
    EXPECT_EQ(disk->snapshot(path, root / "disk", none).error().kind, ErrorKind::busy);
    EXPECT_TRUE(fs::is_empty(root / "disk"));
    EXPECT_EQ(disk->restore(path, root / "disk").error().kind, ErrorKind::busy);
    EXPECT_THAT(disk->snapshot(root / "disk", root / "other", none).error().message,
                HasSubstr("not a Btrfs subvolume"));
    EXPECT_FALSE(fs::exists(root / "other"));
    EXPECT_FALSE(disk->snapshot(root / "nothing", root / "other", none));
    EXPECT_FALSE(disk->settle(root / "nothing"));
}

TEST_F(Btrfs, removes_live_disks_snapshots_and_plain_directories) {
    const auto path = live();
    ASSERT_TRUE(disk->snapshot(path, root / "disk", none));
    fs::create_directories(root / "plain/inner");
    write(root / "plain/inner/file", "x");
    fs::create_directory_symlink(path, root / "link");
    for (const char* name : {"link", "disk", "live-1", "plain", "nothing"}) {
        const auto removed = disk->remove(root / name);
        EXPECT_TRUE(removed) << removed.error().message;
        EXPECT_FALSE(fs::exists(fs::symlink_status(root / name))) << name;
        EXPECT_EQ(fs::exists(path), std::string(name) == "link" || std::string(name) == "disk");
    }
}

} // namespace
} // namespace tlc
