// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/slurm/elsewhere.hpp>

#include <gtest/gtest.h>

namespace tlc {
namespace {

TEST(ExcludedWith, AddsTheNodeToWhatIsExcludedAlready) {
    EXPECT_EQ(excluded_with("7|\n", "7", "n1"), "n1");
    EXPECT_EQ(excluded_with("7|(null)\n", "7", "n1"), "n1");
    EXPECT_EQ(excluded_with("7|n[2-3]\n", "7", "n1"), "n[2-3],n1");
}

TEST(ExcludedWith, LooksAtTheJobAloneNotAtItsArray) {
    EXPECT_EQ(excluded_with("8|n5\n7|n2\n", "7", "n1"), "n2,n1");
    EXPECT_EQ(excluded_with("77|n5\n", "7", "n1"), "n1");
    EXPECT_EQ(excluded_with("", "7", "n1"), "n1");
}

} // namespace
} // namespace tlc
