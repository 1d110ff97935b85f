// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/files.hpp>
#include <tlc/export/output_file.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "../support/temporary_directory.hpp"

namespace tlc {
namespace {

class OutputFileTest : public ::testing::Test {
  protected:
    test::TemporaryDirectory directory;
    std::filesystem::path path = directory / "core";

    size_t files() const {
        return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(directory.path()), {}));
    }
};

TEST_F(OutputFileTest, appears_when_it_is_published_and_is_private) {
    auto file = OutputFile::create(path);
    ASSERT_TRUE(file) << file.error().message;
    ASSERT_TRUE(write_all(file->fd(), std::as_bytes(std::span("whole", 5))));
    EXPECT_FALSE(std::filesystem::exists(path));
    ASSERT_TRUE(file->publish());
    EXPECT_EQ(*read_text(path), "whole");
    EXPECT_EQ(files(), 1u);
    struct stat info {};
    ASSERT_EQ(::stat(path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(OutputFileTest, that_was_not_published_leaves_nothing) {
    {
        auto file = OutputFile::create(path);
        ASSERT_TRUE(file);
        const auto moved = std::move(*file);
        EXPECT_EQ(files(), 1u);
    }
    EXPECT_EQ(files(), 0u);
}

TEST_F(OutputFileTest, never_takes_the_place_of_another) {
    std::ofstream(path) << "first";
    const auto refused = OutputFile::create(path);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::usage);
    std::filesystem::remove(path);
    {
        auto file = OutputFile::create(path);
        ASSERT_TRUE(file);
        std::ofstream(path) << "came meanwhile";
        const auto published = file->publish();
        ASSERT_FALSE(published);
        EXPECT_EQ(published.error().kind, ErrorKind::usage);
    }
    EXPECT_EQ(*read_text(path), "came meanwhile");
    EXPECT_EQ(files(), 1u);
    std::filesystem::remove(path);
    std::filesystem::create_symlink("nowhere", path);
    EXPECT_FALSE(OutputFile::create(path));
}

TEST_F(OutputFileTest, needs_a_name_in_a_directory_that_is_there) {
    EXPECT_EQ(OutputFile::create(directory.path() / "").error().kind, ErrorKind::usage);
    const auto refused = OutputFile::create(directory / "nowhere" / "core");
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message, ::testing::HasSubstr("nowhere"));
}

} // namespace
} // namespace tlc
