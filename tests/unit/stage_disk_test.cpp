// SPDX-License-Identifier: GPL-2.0-or-later
// Work disks made, changed with debugfs as a guest would, checked with e2fsck and read back.
#include <tlc/base/files.hpp>
#include <tlc/base/process.hpp>
#include <tlc/stage/read_back.hpp>
#include <tlc/stage/tools.hpp>
#include <tlc/stage/work_disk.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fcntl.h>
#include <fstream>
#include <optional>
#include <unistd.h>

namespace fs = std::filesystem;
using namespace tlc;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

namespace {

class StageDisk : public ::testing::Test {
  protected:
    void SetUp() override {
        dir_ = fs::path(::testing::TempDir()) / ("stage_disk." + std::to_string(::getpid()));
        fs::remove_all(dir_);
        fs::create_directories(cwd());
    }
    void TearDown() override { fs::remove_all(dir_); }

    fs::path cwd() const { return dir_ / "cwd"; }
    fs::path image() const { return dir_ / "work.img"; }

    void put(const fs::path& name, std::string_view text, time_t time = 1'700'000'000) {
        fs::create_directories((cwd() / name).parent_path());
        std::ofstream(cwd() / name, std::ios::binary) << text;
        const timespec times[2] = {{time, 123'456'789}, {time, 123'456'789}};
        ASSERT_EQ(::utimensat(AT_FDCWD, (cwd() / name).c_str(), times, 0), 0);
    }
    std::string get(const fs::path& name) const { return read_text(cwd() / name).value_or("(none)"); }

    WorkDiskRequest request() const {
        return {image(), uint64_t{64} << 20, cwd(), {}, {}, uint64_t{16} << 20, 1234, 70000};
    }
    StageSummary make(const WorkDiskRequest& request) {
        auto made = make_work_disk(request);
        EXPECT_TRUE(made) << made.error().message;
        return made.value_or(StageSummary{});
    }
    std::string tool(std::vector<std::string> argv) {
        argv[0] = system_tool(argv[0]);
        auto output = run(argv);
        EXPECT_TRUE(output);
        if (argv[0].ends_with("e2fsck")) {
            EXPECT_EQ(output->status.code, 0) << output->text;
        }
        return output->text;
    }
    void check_image() { (void)tool({"e2fsck", "-fn", image()}); }
    std::string debugfs(const std::string& command) {
        return tool({"debugfs", "-w", "-R", command, image()});
    }
    // What the guest's kernel does to a file it writes.
    void touch_in_image(const std::string& name) { debugfs("sif \"" + name + "\" ctime 20260101120000"); }

    ReadBackSummary bring_back(std::vector<std::string> out = {}, std::vector<std::string> exclude = {},
                               std::optional<std::vector<std::string>> staged_in = std::nullopt) {
        auto read =
            read_back({image(), cwd(), std::move(out), std::move(exclude), std::move(staged_in)});
        EXPECT_TRUE(read) << read.error().message;
        return read.value_or(ReadBackSummary{});
    }

    fs::path dir_;
};

TEST_F(StageDisk, KeepsNamesModesTimesAndLinks) {
    put("a b/\"quoted\"\nname", "one");
    put("run.sh", "#!/bin/sh\n");
    put("empty", "");
    ASSERT_EQ(::chmod((cwd() / "run.sh").c_str(), 0750), 0);
    fs::create_symlink("run.sh", cwd() / "short");
    fs::create_symlink(std::string(200, 'x'), cwd() / "long");
    const auto summary = make(request());
    EXPECT_EQ(summary.files, 5u);
    check_image();
    EXPECT_THAT(debugfs("stat run.sh"), HasSubstr("Mode:  0750"));
    EXPECT_THAT(debugfs("stat run.sh"), HasSubstr("User:  1234   Group: 70000"));
    EXPECT_THAT(debugfs("stat /"), HasSubstr("User:  1234   Group: 70000"));
    fs::remove_all(cwd());
    fs::create_directories(cwd());
    const auto back = bring_back();
    EXPECT_THAT(back.problems, ElementsAre());
    EXPECT_EQ(back.files, 5u);
    EXPECT_EQ(get("a b/\"quoted\"\nname"), "one");
    EXPECT_EQ(fs::read_symlink(cwd() / "short"), "run.sh");
    EXPECT_EQ(fs::read_symlink(cwd() / "long"), std::string(200, 'x'));
    struct stat info {};
    ASSERT_EQ(::stat((cwd() / "run.sh").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, 0750u);
    EXPECT_EQ(info.st_mtim.tv_sec, 1'700'000'000);
    EXPECT_EQ(info.st_mtim.tv_nsec, 123'456'789);
    EXPECT_EQ(fs::file_size(cwd() / "empty"), 0u);
}

TEST_F(StageDisk, LargeAndSparseFilesAndManyNames) {
    std::string text(5'000'003, ' ');
    for (size_t i = 0; i < text.size(); ++i)
        text[i] = static_cast<char>(i * 2654435761u >> 13);
    put("large", text);
    put("sparse", "head");
    fs::resize_file(cwd() / "sparse", 3'000'000);
    for (int i = 0; i < 1500; ++i)
        put("many/a_rather_long_file_name_number_" + std::to_string(i), std::to_string(i));
    make(request());
    check_image();
    const std::string sparse = get("sparse");
    fs::remove_all(cwd());
    fs::create_directories(cwd());
    EXPECT_THAT(bring_back().problems, ElementsAre());
    EXPECT_TRUE(get("large") == text);
    EXPECT_TRUE(get("sparse") == sparse);
    EXPECT_EQ(get("many/a_rather_long_file_name_number_1499"), "1499");
    struct stat info {};
    ASSERT_EQ(::stat((cwd() / "sparse").c_str(), &info), 0);
    EXPECT_LT(info.st_blocks, 1000);
}

TEST_F(StageDisk, OnlyWhatTheJobTouchedComesBack) {
    put("same", "old");
    put("changed", "old");
    make(request());
    put("same", "written on the host meanwhile");
    put("other", "only on the host");
    touch_in_image("changed");
    std::ofstream(dir_ / "new") << "made by the job";
    debugfs("write " + (dir_ / "new").string() + " result");
    put("changed", "to be replaced");
    const auto back = bring_back();
    EXPECT_EQ(get("same"), "written on the host meanwhile");
    EXPECT_EQ(get("changed"), "old");
    EXPECT_EQ(get("result"), "made by the job");
    EXPECT_EQ(get("other"), "only on the host");
    EXPECT_EQ(back.files, 2u);
    EXPECT_EQ(back.unchanged, 1u);
    for (const auto& entry : fs::directory_iterator(cwd()))
        EXPECT_FALSE(entry.path().filename().string().starts_with(".tlc")) << entry.path();
}

TEST_F(StageDisk, AFileMovedOverAnotherNameCounts) {
    put("a", "content of a");
    put("b", "content of b");
    make(request());
    debugfs("rm b");
    debugfs("ln a b"); // the inode as staged, under another name
    debugfs("unlink a");
    EXPECT_EQ(bring_back().files, 1u);
    EXPECT_EQ(get("b"), "content of a");
    EXPECT_EQ(get("a"), "content of a");
}

TEST_F(StageDisk, ListsAndExclusions) {
    put("in/deep/x", "x");
    put("in/y", "y");
    put("not", "needed");
    put("slurm-1.out", "log");
    auto with_list = request();
    with_list.stage_in = {"in/deep/", "./slurm-1.out"};
    with_list.exclude = {"slurm-1.out"};
    EXPECT_EQ(make(with_list).files, 1u);
    fs::remove_all(cwd() / "in");
    put("slurm-1.out", "log and more");
    touch_in_image("in/deep/x");
    EXPECT_EQ(bring_back({"in/deep/x", "nothing/here"}, {"slurm-1.out"}).problems.size(), 1u);
    EXPECT_EQ(get("in/deep/x"), "x");
    EXPECT_FALSE(fs::exists(cwd() / "in/y"));
    EXPECT_EQ(get("slurm-1.out"), "log and more");
}

TEST_F(StageDisk, ALinkInTheListIsFollowedOthersAreNot) {
    std::ofstream(dir_ / "outside") << "far away";
    fs::create_symlink(dir_ / "outside", cwd() / "data");
    auto with_list = request();
    with_list.stage_in = {"data"};
    make(with_list);
    EXPECT_THAT(debugfs("cat data"), HasSubstr("far away"));
}

TEST_F(StageDisk, OnlyANamedLinkIsWrittenThrough) {
    put("stays", "");
    make(request());
    debugfs("mkdir link");
    debugfs("write /etc/hostname link/new");
    const auto elsewhere = dir_ / "elsewhere";
    fs::create_directory(elsewhere);
    fs::create_symlink(elsewhere, cwd() / "link");
    const auto summary = bring_back({}, {}, std::vector<std::string>{"linked", "other"});
    EXPECT_THAT(summary.problems, ElementsAre(HasSubstr("link: is a symbolic link here")));
    EXPECT_FALSE(fs::exists(elsewhere / "new"));
    EXPECT_THAT(bring_back({}, {}, std::vector<std::string>{"other", "./link/sub"}).problems, ElementsAre());
    EXPECT_TRUE(fs::exists(elsewhere / "new"));
    fs::remove(elsewhere / "new");
    EXPECT_THAT(bring_back({"link"}, {}, std::vector<std::string>{}).problems, ElementsAre());
    EXPECT_TRUE(fs::exists(elsewhere / "new"));
}

TEST_F(StageDisk, ErrorsSayWhatToWrite) {
    put("big", std::string(3 << 20, 'x'));
    auto small = request();
    small.limit = 1 << 20;
    auto made = make_work_disk(small);
    ASSERT_FALSE(made);
    EXPECT_THAT(made.error().message, HasSubstr("3.0 MiB"));
    EXPECT_THAT(made.error().message, HasSubstr("1.0 MiB"));
    EXPECT_THAT(made.error().message, HasSubstr("--vm-stage-in="));
    small = request();
    small.stage_in = {"missing.dat"};
    made = make_work_disk(small);
    ASSERT_FALSE(made);
    EXPECT_THAT(made.error().message, HasSubstr("'missing.dat'"));
    for (const char* outside : {"../x", "/etc/passwd", "a/../../x"}) {
        small.stage_in = {outside};
        made = make_work_disk(small);
        ASSERT_FALSE(made);
        EXPECT_EQ(made.error().kind, ErrorKind::usage);
    }
    small = request();
    small.size = 3 << 20;
    made = make_work_disk(small);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().kind, ErrorKind::no_space) << made.error().message;
    EXPECT_FALSE(fs::exists(image()));
    std::ofstream(image()) << "precious";
    EXPECT_FALSE(make_work_disk(request()));
    EXPECT_TRUE(fs::exists(image()));
}

TEST_F(StageDisk, AnImageThatWasInUseIsRepairedInACopy) {
    put("kept", "text");
    make(request());
    debugfs("ssv state 0"); // mounted when its machine died
    const auto before = fs::last_write_time(image());
    fs::remove(cwd() / "kept");
    EXPECT_EQ(bring_back().files, 1u);
    EXPECT_EQ(get("kept"), "text");
    EXPECT_EQ(fs::last_write_time(image()), before);
    EXPECT_FALSE(fs::exists(image().string() + ".repaired"));
}

TEST_F(StageDisk, WhatCannotBeWrittenIsAProblemOfThatFileOnly) {
    put("x", "file");
    put("y", "file");
    make(request());
    touch_in_image("x");
    touch_in_image("y");
    fs::remove(cwd() / "x");
    fs::create_directories(cwd() / "x/occupied");
    fs::remove(cwd() / "y");
    const auto back = bring_back();
    ASSERT_EQ(back.problems.size(), 1u);
    EXPECT_THAT(back.problems[0], HasSubstr("x: "));
    EXPECT_EQ(get("y"), "file");
}

TEST_F(StageDisk, NoImageOrNoFileSystemIsAnError) {
    EXPECT_FALSE(read_back({image(), cwd(), {}, {}}));
    std::ofstream(image()) << std::string(100'000, 'x');
    EXPECT_FALSE(read_back({image(), cwd(), {}, {}}));
}

} // namespace
