// SPDX-License-Identifier: GPL-2.0-or-later
// Images written by earlier programs still mean the same, see tests/golden/README.md.
#include <tlc/base/files.hpp>

#include <gtest/gtest.h>

#include "../support/describe_image.hpp"

namespace tlc {
namespace {

class GoldenImage : public testing::TestWithParam<const char*> {};

TEST_P(GoldenImage, HoldsWhatItHeldWhenItWasWritten) {
    const std::filesystem::path directory = std::filesystem::path(TLC_GOLDEN) / GetParam();
    const auto contents = read_text(directory / "contents.txt");
    ASSERT_TRUE(contents) << contents.error().message;
    // The last line is the digest.
    const std::string digest = contents->substr(contents->size() - 33, 32);
    const auto found = test::describe_image(directory / "memory.h5", digest);
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_EQ(*found, *contents);
}

INSTANTIATE_TEST_SUITE_P(Versions, GoldenImage, testing::Values("v1", "v2"),
                         [](const auto& version) { return std::string(version.param); });

} // namespace
} // namespace tlc
