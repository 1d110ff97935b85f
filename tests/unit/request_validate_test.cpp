// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/files.hpp>
#include <tlc/request/validate.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

constexpr uint64_t gibi = uint64_t{1} << 30;

TEST(Validate, MemoryAgainstTheJob) {
    tlc::JobRequest request;
    EXPECT_TRUE(tlc::check_memory(request, gibi));
    request.memory_bytes = 2 * gibi;
    EXPECT_TRUE(tlc::check_memory(request, 0));
    EXPECT_TRUE(tlc::check_memory(request, 2 * gibi));
    EXPECT_THAT(tlc::check_memory(request, gibi).error().message,
                AllOf(StartsWith("--vm-memory: 2.0 GiB is more than the job's memory (1.0 GiB)"),
                      HasSubstr("--mem")));
    request.buffer_bytes = gibi / 2;
    EXPECT_THAT(tlc::check_memory(request, 2 * gibi).error().message, HasSubstr("2.5 GiB"));
    request.memory_bytes = UINT64_MAX / 2;
    request.buffer_bytes = UINT64_MAX / 2;
    EXPECT_FALSE(tlc::check_memory(request, gibi));
}

TEST(Validate, Nodes) {
    EXPECT_TRUE(tlc::check_nodes(1));
    EXPECT_THAT(tlc::check_nodes(3).error().message, HasSubstr("write --nodes=1"));
    EXPECT_THAT(tlc::check_nodes(1, 2).error().message, HasSubstr("heterogeneous"));
}

TEST(Validate, NodesAsSbatchPrintsThem) {
    for (const char* one : {"", "1", "1-1", "1-0", "x"})
        EXPECT_TRUE(tlc::check_nodes_option(one)) << one;
    for (const char* more : {"2", "1-2", "2-0", "1,3", "1-16:4"})
        EXPECT_FALSE(tlc::check_nodes_option(more)) << more;
    EXPECT_THAT(tlc::check_nodes_option("1-2").error().message,
                AllOf(HasSubstr("--nodes=1-2"), HasSubstr("write --nodes=1")));
}

class Files : public testing::Test {
  protected:
    void SetUp() override {
        char name[] = "/tmp/tlc-validate-XXXXXX";
        ASSERT_NE(::mkdtemp(name), nullptr);
        directory = name;
    }
    void TearDown() override { std::filesystem::remove_all(directory); }

    std::string error(tlc::JobRequest request) {
        tlc::resolve_paths(request, directory);
        const auto status = tlc::check_files(request, directory);
        return status ? "no error" : status.error().message;
    }
    std::filesystem::path directory;
};

TEST_F(Files, ImageIsMadeAbsolute) {
    ASSERT_TRUE(tlc::publish_text(directory / "image", "x"));
    tlc::JobRequest request;
    request.image = "./image";
    EXPECT_EQ(error(request), "no error");
    tlc::resolve_paths(request, directory);
    EXPECT_EQ(request.image, (directory / "image").string());
}

TEST_F(Files, WrongImages) {
    tlc::JobRequest request;
    request.image = "missing";
    EXPECT_THAT(error(request), AllOf(StartsWith("--vm-image: cannot find /tmp/"), HasSubstr("write")));
    request.image = ".";
    EXPECT_THAT(error(request), HasSubstr("is not a file"));
}

TEST_F(Files, WrongDirectories) {
    tlc::JobRequest request;
    request.checkpoint_dir = "missing";
    EXPECT_THAT(error(request), AllOf(StartsWith("--vm-checkpoint-dir: cannot find"), HasSubstr("mkdir")));
    ASSERT_TRUE(tlc::publish_text(directory / "file", "x"));
    request.checkpoint_dir = "file";
    EXPECT_THAT(error(request), HasSubstr("is not a directory"));
    request.checkpoint_dir = "/proc/self";
    EXPECT_NE(error(request), "no error");
}

TEST_F(Files, StageIn) {
    ASSERT_TRUE(tlc::publish_text(directory / "data", "x"));
    tlc::JobRequest request;
    request.stage_in = {"data"};
    EXPECT_EQ(error(request), "no error");
    request.stage_in = {"data", "other"};
    EXPECT_THAT(error(request),
                AllOf(StartsWith("--vm-stage-in: cannot read other"), HasSubstr("submit directory")));
    request.stage_in = {"none"};
    EXPECT_EQ(error(request), "no error");
}

} // namespace
