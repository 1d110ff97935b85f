// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/files.hpp>
#include <tlc/disk/image_files.hpp>
#include <tlc/disk/reflink.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>

#include "../support/no_block_devices.hpp"
#include "../support/temporary_directory.hpp"

namespace tlc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

void write(const fs::path& path, const std::string& text) { std::ofstream(path) << text; }

mode_t mode_of(const fs::path& path) {
    struct stat info {};
    EXPECT_EQ(::stat(path.c_str(), &info), 0) << path;
    return info.st_mode & 07777;
}

uint64_t blocks_of(const fs::path& path) {
    struct stat info {};
    EXPECT_EQ(::stat(path.c_str(), &info), 0) << path;
    return static_cast<uint64_t>(info.st_blocks) * 512;
}

TEST(OpenDisk, takes_only_kinds_it_knows_and_only_where_they_work) {
    const test::TemporaryDirectory directory;
    EXPECT_EQ(open_disk(directory.path(), "zfs").error().kind, ErrorKind::usage);
    const auto forced = open_disk("/dev/shm", "btrfs");
    ASSERT_FALSE(forced);
    EXPECT_EQ(forced.error().kind, ErrorKind::incompatible);
    EXPECT_THAT(forced.error().message, HasSubstr("--vm-checkpoint-dir"));
    const auto cloned = open_disk("/dev/shm", "reflink");
    ASSERT_FALSE(cloned);
    EXPECT_EQ(cloned.error().kind, ErrorKind::incompatible);
    EXPECT_THAT(cloned.error().message, HasSubstr("cannot be cloned"));
    EXPECT_TRUE(fs::is_empty(directory.path()));
}

TEST(CopyFile, keeps_holes_and_takes_only_a_beginning) {
    const test::TemporaryDirectory directory;
    const auto from = directory / "from";
    write(from, "start");
    fs::resize_file(from, 64 << 20);
    { std::fstream(from, std::ios::in | std::ios::out).seekp((32 << 20) + 100) << "middle"; }
    ASSERT_TRUE(tlc::copy_file(from, directory / "whole"));
    EXPECT_EQ(*read_text(directory / "whole", 65 << 20), *read_text(from, 65 << 20));
    EXPECT_LT(blocks_of(directory / "whole"), uint64_t{4} << 20);
    ASSERT_TRUE(tlc::copy_file(from, directory / "part", 0400, 3));
    EXPECT_EQ(*read_text(directory / "part"), "sta");
    EXPECT_EQ(mode_of(directory / "part"), 0400u);
    EXPECT_FALSE(tlc::copy_file(from, directory / "part"));
    EXPECT_FALSE(tlc::copy_file(from, directory / "more", 0600, (64 << 20) + 1));
    EXPECT_FALSE(fs::exists(directory / "more"));
}

TEST(ReflinkDisk, leaves_nothing_where_files_cannot_be_cloned) {
    const test::TemporaryDirectory directory("/dev/shm");
    if (can_clone(directory.path()).value_or(true)) GTEST_SKIP() << "files can be cloned in /dev/shm here";
    ReflinkDisk disk;
    test::NoBlockDevices none;
    ASSERT_TRUE(disk.create_live(directory / "live-1"));
    write(directory / "live-1/stdout", "x");
    const auto taken = disk.snapshot(directory / "live-1", directory / "disk", none);
    ASSERT_FALSE(taken);
    EXPECT_THAT(taken.error().message, HasSubstr("stdout"));
    EXPECT_FALSE(fs::exists(directory / "disk"));
}

class Reflink : public ::testing::Test {
  protected:
    fs::path root;
    std::unique_ptr<Disk> disk;
    test::NoBlockDevices none;

    void SetUp() override {
        const char* directory = std::getenv("TLC_TEST_REFLINK");
        if (directory == nullptr)
            GTEST_SKIP() << "TLC_TEST_REFLINK names no directory where files can be cloned";
        root = fs::path(directory) / ::testing::UnitTest::GetInstance()->current_test_info()->name();
        fs::create_directory(root);
        auto opened = open_disk(root);
        ASSERT_TRUE(opened) << opened.error().message;
        disk = std::move(*opened);
        ASSERT_EQ(disk->kind(), "reflink");
    }

    fs::path live() {
        const auto made = disk->create_live(root / "live-1");
        EXPECT_TRUE(made) << made.error().message;
        write(root / "live-1/root.qcow2", "before");
        return root / "live-1";
    }
};

TEST_F(Reflink, makes_a_private_live_disk_once) {
    const auto path = live();
    EXPECT_EQ(mode_of(path), 0700u);
    EXPECT_EQ(disk->create_live(path).error().kind, ErrorKind::busy);
}

TEST_F(Reflink, freezes_what_was_there_and_restores_it) {
    const auto path = live();
    const auto frozen = root / "disk";
    ASSERT_TRUE(disk->prepare(path, root / "disk", none));
    // Not synced by anyone: the snapshot has to take what is only in memory.
    write(path / "stdout", "late");
    const auto taken = disk->snapshot(path, frozen, none);
    ASSERT_TRUE(taken) << taken.error().message;
    ASSERT_TRUE(disk->settle(frozen));
    EXPECT_THAT(*file_names(frozen), ElementsAre("root.qcow2", "stdout"));
    EXPECT_EQ(mode_of(frozen / "stdout"), 0400u);

    write(path / "root.qcow2", "after");
    EXPECT_EQ(*read_text(frozen / "root.qcow2"), "before");
    EXPECT_EQ(*read_text(frozen / "stdout"), "late");

    const auto restored = disk->restore(frozen, root / "live-2");
    ASSERT_TRUE(restored) << restored.error().message;
    EXPECT_EQ(mode_of(root / "live-2"), 0700u);
    EXPECT_EQ(mode_of(root / "live-2/stdout"), 0600u);
    write(root / "live-2/stdout", "more");
    EXPECT_EQ(*read_text(root / "live-2/stdout"), "more");
    EXPECT_EQ(*read_text(root / "live-2/root.qcow2"), "before");
    EXPECT_EQ(*read_text(frozen / "stdout"), "late");
}

TEST_F(Reflink, takes_no_snapshot_onto_something_or_of_nothing) {
    const auto path = live();
    fs::create_directory(root / "disk");
    EXPECT_EQ(disk->snapshot(path, root / "disk", none).error().kind, ErrorKind::busy);
    EXPECT_TRUE(fs::is_empty(root / "disk"));
    EXPECT_EQ(disk->restore(path, root / "disk").error().kind, ErrorKind::busy);
    EXPECT_FALSE(disk->snapshot(root / "nothing", root / "other", none));
    EXPECT_FALSE(fs::exists(root / "other"));
    EXPECT_FALSE(disk->settle(root / "nothing"));
    EXPECT_FALSE(disk->restore(root / "nothing", root / "live-3"));
    EXPECT_FALSE(fs::exists(root / "live-3"));
}

TEST_F(Reflink, removes_again_and_again) {
    const auto path = live();
    ASSERT_TRUE(disk->snapshot(path, root / "disk", none));
    fs::create_directory_symlink(path, root / "link");
    for (const char* name : {"link", "disk", "live-1", "nothing"})
        for (int time = 0; time < 2; ++time) {
            const auto removed = disk->remove(root / name);
            EXPECT_TRUE(removed) << removed.error().message;
            EXPECT_FALSE(fs::exists(fs::symlink_status(root / name))) << name;
        }
}

TEST_F(Reflink, a_clone_takes_no_space_of_its_own) {
    const auto path = live();
    write(path / "work.img", std::string(32 << 20, 'x'));
    ASSERT_TRUE(disk->prepare(path, root / "disk", none));
    const auto before = *free_space(root);
    ASSERT_TRUE(disk->snapshot(path, root / "disk", none));
    ASSERT_TRUE(disk->settle(root / "disk"));
    ASSERT_TRUE(disk->restore(root / "disk", root / "live-2"));
    ASSERT_TRUE(sync_files(root / "live-2"));
    EXPECT_LT(before - std::min(before, *free_space(root)), uint64_t{16} << 20);
}

} // namespace
} // namespace tlc
