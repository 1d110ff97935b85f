// SPDX-License-Identifier: GPL-2.0-or-later
// The kind "qcow2" on real images, written and read by qemu-io; the VM that switches is a fake.
#include <tlc/base/files.hpp>
#include <tlc/base/process.hpp>
#include <tlc/disk/disk.hpp>
#include <tlc/disk/image_files.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <set>

#include "../support/temporary_directory.hpp"

namespace tlc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

void write(const fs::path& path, const std::string& text) { std::ofstream(path) << text; }
void append(const fs::path& path, const std::string& text) { std::ofstream(path, std::ios::app) << text; }

void qemu(std::vector<std::string> argv) {
    const auto output = run(argv);
    ASSERT_TRUE(output) << output.error().message;
    ASSERT_EQ(output->status.code, 0) << output->text;
}

struct stat look(const fs::path& path) {
    struct stat info {};
    EXPECT_EQ(::lstat(path.c_str(), &info), 0) << path;
    return info;
}

// What QEMU would do, without QEMU.
class FakeVm final : public BlockDevices {
  public:
    Result<std::string> active(const std::string& drive) override { return in_use.at(drive); }
    Status add(const fs::path& overlay) override {
        open.insert(overlay.filename().string());
        return {};
    }
    void drop(const std::string& overlay) override { open.erase(overlay); }
    Status switch_all(const std::vector<Change>& changes) override {
        if (!lost_answer && !answers) return fail("refused");
        for (const auto& change : changes)
            for (auto& [drive, file] : in_use)
                if (file == change.from && open.erase(change.to) == 1) file = change.to;
        if (lost_answer) return fail("no answer in time");
        return {};
    }
    std::map<std::string, std::string> in_use{{"root", "root.qcow2"}, {"work", "work.img"}};
    std::set<std::string> open; // and not in use
    bool answers = true;
    bool lost_answer = false;
};

class Qcow2 : public ::testing::Test {
  protected:
    const char* given = std::getenv("TLC_TEST_QCOW2");
    test::TemporaryDirectory directory{given == nullptr ? fs::temp_directory_path() : fs::path(given)};
    fs::path live = directory / "live-1";
    FakeVm vm;

    void SetUp() override {
        if (!run({"qemu-io", "--version"})) GTEST_SKIP() << "qemu-io is not installed";
        write(directory / "guest.ext4", "");
        fs::resize_file(directory / "guest.ext4", 4 << 20);
        ASSERT_TRUE(disk()->create_live(live));
        qemu({"qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b",
              (directory / "guest.ext4").string(), (live / "root.qcow2").string()});
        write(live / "work.img", "");
        fs::resize_file(live / "work.img", 2 << 20);
        for (const char* name : {"stdout", "stderr", "control"})
            write(live / name, "");
    }

    // A new one for each snapshot, as an engine has.
    std::unique_ptr<Disk> disk() {
        auto opened = open_disk(directory.path(), "qcow2");
        EXPECT_TRUE(opened) << opened.error().message;
        return std::move(*opened);
    }

    static std::string format(const std::string& file) { return file.ends_with(".img") ? "raw" : "qcow2"; }

    // The drive's first 64 KiB at a place are this byte.
    void put(const std::string& drive, int place, char byte) {
        const auto file = vm.in_use.at(drive);
        qemu({"qemu-io", "-f", format(file), "-c",
              fmt::format("write -q -P {} {}k 64k", int{byte}, place * 64), (live / file).string()});
    }
    static void expect(const fs::path& in, const std::string& drive, int place, char byte) {
        const auto image = newest_image(in, drive);
        ASSERT_TRUE(image) << image.error().message;
        const auto output =
            run({"qemu-io", "-r", "-f", image->format(), "-c",
                 fmt::format("read -q -P {} {}k 64k", int{byte}, place * 64), (in / image->file).string()});
        ASSERT_TRUE(output) << output.error().message;
        EXPECT_THAT(output->text, ::testing::Not(HasSubstr("verification failed"))) << in << " " << drive;
        EXPECT_EQ(output->status.code, 0) << output->text;
    }

    Status take(const std::string& name) {
        const auto one = disk();
        const auto to = directory / name;
        auto done = one->prepare(live, to, vm);
        if (done) done = one->snapshot(live, to, vm);
        if (done) done = one->settle(to);
        if (!done) {
            EXPECT_TRUE(one->remove(to));
        }
        return done;
    }
};

TEST_F(Qcow2, freezes_what_was_there_and_restores_it) {
    put("root", 0, 'a');
    put("work", 0, 'b');
    write(live / "stdout", "early\n");
    const auto taken = take("1");
    ASSERT_TRUE(taken) << taken.error().message;
    EXPECT_EQ(vm.in_use.at("root"), "root-1.qcow2");
    EXPECT_EQ(vm.in_use.at("work"), "work-1.qcow2");
    put("root", 0, 'c');
    put("work", 0, 'd');
    append(live / "stdout", "late\n");

    const auto frozen = directory / "1";
    EXPECT_THAT(*file_names(frozen), ElementsAre("control", "root.qcow2", "stderr", "stdout", "work.img"));
    EXPECT_EQ(look(frozen / "work.img").st_ino, look(live / "work.img").st_ino);
    EXPECT_EQ(look(frozen / "work.img").st_mode & 0777, 0400u);
    expect(frozen, "root", 0, 'a');
    expect(frozen, "work", 0, 'b');
    EXPECT_EQ(*read_text(frozen / "stdout"), "early\n");

    const auto again = directory / "live-2";
    const auto restored = disk()->restore(frozen, again);
    ASSERT_TRUE(restored) << restored.error().message;
    EXPECT_EQ(look(again).st_mode & 0777, 0700u);
    expect(again, "root", 0, 'a');
    expect(again, "work", 0, 'b');
    append(again / "stdout", "other\n");
    EXPECT_EQ(*read_text(again / "stdout"), "early\nother\n");
    EXPECT_EQ(*read_text(frozen / "stdout"), "early\n");
    EXPECT_EQ(newest_image(again, "root")->file, "root-1.qcow2");
    EXPECT_NE(look(again / "root-1.qcow2").st_ino, look(live / "root-1.qcow2").st_ino);
}

TEST_F(Qcow2, a_snapshot_needs_neither_the_live_disk_nor_the_snapshots_before) {
    for (const char byte : {'a', 'b', 'c'}) {
        put("root", byte - 'a', byte);
        put("work", byte - 'a', byte);
        const auto taken = take(std::string(1, byte));
        ASSERT_TRUE(taken) << taken.error().message;
    }
    EXPECT_EQ(read_chain(live, *newest_image(live, "work"))->overlays, 3u);
    for (const char* gone : {"live-1", "a", "b"})
        for (int time = 0; time < 2; ++time)
            ASSERT_TRUE(disk()->remove(directory / gone));
    ASSERT_TRUE(disk()->restore(directory / "c", directory / "live-2"));
    for (const char byte : {'a', 'b', 'c'}) {
        expect(directory / "live-2", "root", byte - 'a', byte);
        expect(directory / "live-2", "work", byte - 'a', byte);
    }
}

TEST_F(Qcow2, what_is_frozen_is_not_written_any_more) {
    put("root", 0, 'a');
    ASSERT_TRUE(take("1"));
    const auto before = *read_text(directory / "1" / "root.qcow2");
    put("root", 0, 'b');
    ASSERT_TRUE(take("2"));
    ASSERT_TRUE(disk()->restore(directory / "1", directory / "live-2"));
    qemu(
        {"qemu-io", "-f", "qcow2", "-c", "write -q -P 1 0 1M", (directory / "live-2/root-1.qcow2").string()});
    EXPECT_EQ(*read_text(directory / "1" / "root.qcow2"), before);
}

TEST_F(Qcow2, nothing_stays_of_a_snapshot_that_cannot_be_prepared) {
    vm.in_use["work"] = "other.qcow2";
    const auto names = *file_names(live);
    const auto taken = take("1");
    ASSERT_FALSE(taken);
    EXPECT_THAT(taken.error().message, HasSubstr("other.qcow2"));
    EXPECT_EQ(*file_names(live), names);
    EXPECT_FALSE(fs::exists(directory / "1"));
    fs::create_directory(directory / "2");
    EXPECT_EQ(disk()->prepare(live, directory / "2", vm).error().kind, ErrorKind::busy);
    { // Prepared and then not wanted.
        vm.in_use["work"] = "work.img";
        const auto one = disk();
        ASSERT_TRUE(one->prepare(live, directory / "3", vm));
        EXPECT_NE(*file_names(live), names);
        EXPECT_FALSE(vm.open.empty());
    }
    EXPECT_TRUE(vm.open.empty());
    EXPECT_EQ(*file_names(live), names);
}

TEST_F(Qcow2, a_snapshot_after_one_that_failed_in_the_pause) {
    put("root", 0, 'a');
    vm.answers = false;
    EXPECT_FALSE(take("1"));
    vm.answers = true;
    put("root", 1, 'b');
    ASSERT_TRUE(take("2"));
    EXPECT_THAT(*file_names(directory / "2"),
                ElementsAre("control", "root.qcow2", "stderr", "stdout", "work.img"));
    // A name is not given again.
    EXPECT_EQ(vm.in_use.at("root"), "root-2.qcow2");
    EXPECT_FALSE(fs::exists(live / "root-1.qcow2"));
    EXPECT_TRUE(vm.open.empty());
    put("root", 2, 'c');

    // Now the VM has switched, and nobody knows.
    vm.lost_answer = true;
    EXPECT_FALSE(take("3"));
    vm.lost_answer = false;
    put("root", 3, 'd');
    ASSERT_TRUE(take("4"));
    EXPECT_EQ(vm.in_use.at("root"), "root-4.qcow2");
    ASSERT_TRUE(disk()->restore(directory / "4", directory / "live-2"));
    for (const char byte : {'a', 'b', 'c', 'd'})
        expect(directory / "live-2", "root", byte - 'a', byte);
}

TEST_F(Qcow2, overlays_never_taken_into_use_do_not_hide_what_was_written) {
    put("work", 0, 'a');
    vm.answers = false;
    EXPECT_FALSE(take("1"));
    put("work", 0, 'b');
    expect(live, "work", 0, 'b');
}

TEST_F(Qcow2, merged_images_are_removed_from_the_live_disk_only) {
    put("root", 0, 'a');
    ASSERT_TRUE(take("1"));
    put("root", 1, 'b');
    ASSERT_TRUE(take("2"));
    ASSERT_TRUE(remove_unused_images(live));
    EXPECT_TRUE(fs::exists(live / "root.qcow2"));
    // As block-stream leaves it.
    qemu({"qemu-img", "rebase", "-f", "qcow2", "-F", "raw", "-b", (directory / "guest.ext4").string(),
          (live / "root-2.qcow2").string()});
    EXPECT_THAT(*remove_unused_images(live), ElementsAre("root-1.qcow2", "root.qcow2"));
    EXPECT_FALSE(fs::exists(live / "root.qcow2"));
    EXPECT_FALSE(fs::exists(live / "root-1.qcow2"));
    EXPECT_TRUE(fs::exists(live / "work.img"));
    expect(live, "root", 0, 'a');
    put("root", 2, 'c');
    ASSERT_TRUE(take("3"));
    ASSERT_TRUE(disk()->restore(directory / "2", directory / "live-2"));
    ASSERT_TRUE(disk()->restore(directory / "3", directory / "live-3"));
    expect(directory / "live-2", "root", 1, 'b');
    expect(directory / "live-3", "root", 2, 'c');
}

TEST_F(Qcow2, is_restored_onto_another_file_system_by_a_copy) {
    put("root", 0, 'a');
    ASSERT_TRUE(take("1"));
    put("root", 1, 'b');
    ASSERT_TRUE(take("2"));
    const test::TemporaryDirectory other("/dev/shm");
    if (look(other.path()).st_dev == look(directory.path()).st_dev) GTEST_SKIP() << "/dev/shm is the same";
    const auto restored = disk()->restore(directory / "2", other / "live-1");
    ASSERT_TRUE(restored) << restored.error().message;
    expect(other / "live-1", "root", 0, 'a');
    expect(other / "live-1", "root", 1, 'b');
    EXPECT_EQ(look(other / "live-1/work.img").st_nlink, 1u);
    EXPECT_LT(look(other / "live-1/work.img").st_blocks, 128);
}

TEST_F(Qcow2, goes_on_from_other_kinds_and_they_from_it) {
    put("root", 0, 'a');
    put("work", 0, 'b');
    const auto frozen = directory / "plain"; // as a clone or a subvolume looks
    ASSERT_TRUE(make_directory(frozen));
    const auto names = *file_names(live);
    for (const auto& name : names)
        ASSERT_TRUE(tlc::copy_file(live / name, frozen / name, 0400));
    ASSERT_TRUE(disk()->restore(frozen, directory / "live-2"));
    expect(directory / "live-2", "root", 0, 'a');
    expect(directory / "live-2", "work", 0, 'b');

    ASSERT_TRUE(take("1"));
    put("root", 1, 'c');
    ASSERT_TRUE(take("2"));
    auto reflink = open_disk(directory.path(), "reflink");
    if (!reflink) GTEST_SKIP() << "the other way: " << reflink.error().message;
    ASSERT_TRUE((*reflink)->restore(directory / "2", directory / "live-3"));
    expect(directory / "live-3", "root", 1, 'c');
    EXPECT_EQ(newest_image(directory / "live-3", "root")->file, "root-1.qcow2");
    EXPECT_EQ(look(directory / "live-3/root-1.qcow2").st_mode & 0777, 0600u);
}

} // namespace
} // namespace tlc
