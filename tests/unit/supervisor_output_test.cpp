// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/files.hpp>
#include <tlc/supervisor/output.hpp>

#include <gtest/gtest.h>

#include <fcntl.h>
#include <fstream>
#include <unistd.h>

#include "../support/temporary_directory.hpp"

namespace tlc {
namespace {

class Output : public testing::Test {
  protected:
    void append(const char* name, const std::string& text) const {
        std::ofstream(directory_.path() / name, std::ios::app | std::ios::binary) << text;
    }
    std::string content(const char* name) const {
        return read_text(directory_.path() / name).value_or("unreadable");
    }
    Fd open_output(int flags) const {
        return Fd(::open((directory_.path() / "out").c_str(), O_WRONLY | O_CREAT | flags, 0600));
    }
    OutputFollower follower(const Fd& output, uint64_t base) const {
        return {directory_.path() / "console", output.get(), base};
    }

    test::TemporaryDirectory directory_;
};

TEST_F(Output, FollowsWhatIsAppended) {
    const Fd output = open_output(O_TRUNC);
    auto follower = this->follower(output, 0);
    append("console", "one\n");
    ASSERT_TRUE(follower.reconcile(false));
    append("console", "two\n");
    ASSERT_TRUE(follower.pump());
    ASSERT_TRUE(follower.pump());
    EXPECT_EQ(content("out"), "one\ntwo\n");
    append("console", "last\n");
    ASSERT_TRUE(follower.finish());
    EXPECT_EQ(content("out"), "one\ntwo\nlast\n");
}

TEST_F(Output, RestoredAfterTruncationHoldsTheConsole) {
    append("console", "one\ntwo\n");
    const Fd output = open_output(O_TRUNC);
    auto follower = this->follower(output, 0);
    ASSERT_TRUE(follower.reconcile(true));
    append("console", "three\n");
    ASSERT_TRUE(follower.pump());
    EXPECT_EQ(content("out"), "one\ntwo\nthree\n");
}

TEST_F(Output, LinesAfterTheCheckpointAreCutOff) {
    append("console", "one\ntwo\n");
    for (const int mode : {0, O_APPEND}) {
        std::filesystem::remove(directory_.path() / "out");
        append("out", "one\ntwo\nthree\nfou");
        const Fd output = open_output(mode);
        auto follower = this->follower(output, 0);
        ASSERT_TRUE(follower.reconcile(true));
        EXPECT_EQ(content("out"), "one\ntwo\n");
    }
}

TEST_F(Output, LostAndForeignBytesAreWrittenAgain) {
    append("console", "one\ntwo\nthree\n");
    append("out", fmt::format("one\n{}slurmstepd: killed\n", std::string(4, '\0')));
    const Fd output = open_output(O_APPEND);
    auto follower = this->follower(output, 0);
    ASSERT_TRUE(follower.reconcile(true));
    EXPECT_EQ(content("out"), "one\ntwo\nthree\n");
}

TEST_F(Output, WhatWasThereBeforeTheJobStays) {
    append("out", "of another job\n");
    append("console", "one\n");
    const Fd output = open_output(O_APPEND);
    auto follower = this->follower(output, 15);
    ASSERT_TRUE(follower.reconcile(true));
    EXPECT_EQ(content("out"), "of another job\none\n");
}

TEST_F(Output, LargeOutputIsComparedBlockByBlock) {
    std::string text;
    for (int n = 0; text.size() < 3'000'000; ++n)
        text += std::to_string(n) + "\n";
    append("console", text);
    append("out", text.substr(0, 1'500'000) + "x");
    const Fd output = open_output(0);
    auto follower = this->follower(output, 0);
    ASSERT_TRUE(follower.reconcile(true));
    EXPECT_EQ(content("out"), text);
}

TEST_F(Output, APipeGetsOnlyWhatIsNew) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    const Fd reader(ends[0]);
    const Fd writer(ends[1]);
    append("console", "old\n");
    auto follower = this->follower(writer, 0);
    ASSERT_TRUE(follower.reconcile(true));
    append("console", "new\n");
    ASSERT_TRUE(follower.pump());
    char buffer[64];
    const ssize_t n = ::read(reader.get(), buffer, sizeof buffer);
    EXPECT_EQ(std::string(buffer, n > 0 ? static_cast<size_t>(n) : 0), "new\n");
}

} // namespace
} // namespace tlc
