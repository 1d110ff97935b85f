// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/units.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using testing::HasSubstr;

TEST(Units, DurationsInEveryForm) {
    const std::pair<const char*, int> cases[] = {
        {"90s", 90},  {"10m", 600},      {"2h", 7200},          {"1d", 86400},   {"10", 600},
        {"1:30", 90}, {"1:30:00", 5400}, {"1-0", 86400},        {"1-02", 93600}, {"1-02:30", 95400},
        {"0:05", 5},  {"00:00:07", 7},   {"1-02:30:05", 95405},
    };
    for (const auto& [text, seconds] : cases) {
        const auto value = tlc::parse_duration(text);
        ASSERT_TRUE(value) << text << ": " << value.error().message;
        EXPECT_EQ(value->count(), seconds) << text;
    }
}

TEST(Units, BadDurationsSayWhatToWrite) {
    for (const char* text : {"", "banana", "0", "0s", "-5", "+5", "5.5", "10 m", "10M", "1:2:3:4",
                             "1-2:3:4:5", ":", "1:", "-", "1-", "99999999999999999999", "10mm", "m"}) {
        const auto value = tlc::parse_duration(text);
        ASSERT_FALSE(value) << text;
        EXPECT_THAT(value.error().message, HasSubstr("write for example")) << text;
    }
}

TEST(Units, Sizes) {
    constexpr uint64_t mebi = 1 << 20;
    EXPECT_EQ(tlc::parse_size("512"), 512 * mebi);
    EXPECT_EQ(tlc::parse_size("512", 1), 512u);
    EXPECT_EQ(tlc::parse_size("64M"), 64 * mebi);
    EXPECT_EQ(tlc::parse_size("2g"), 2048 * mebi);
    EXPECT_EQ(tlc::parse_size("1T"), mebi * mebi);
    for (const char* text : {"", "M", "0", "0G", "-1", "+1", "1.5G", "1GB", "2 G", "99999999999999T"})
        EXPECT_FALSE(tlc::parse_size(text)) << text;
}

} // namespace
