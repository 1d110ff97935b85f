// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/checkpoint/capture_choice.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tlc {
namespace {

using testing::HasSubstr;

TEST(CaptureChoice, EveryKindIsReadAndWritten) {
    for (const char* text : {"auto", "cow", "log:nonstop", "log:onepass", "log:1", "mem:3600000"}) {
        const auto choice = parse_capture_choice(text);
        ASSERT_TRUE(choice) << text;
        EXPECT_EQ(choice->text(), text);
    }
    const auto hold = parse_capture_choice("mem:250");
    EXPECT_EQ(hold->kind, CaptureKind::log);
    EXPECT_EQ(hold->variant, LogVariant::memory);
    EXPECT_EQ(hold->interval.count(), 250);
}

TEST(CaptureChoice, AnythingElseIsRefusedWithWhatThereIs) {
    for (const char* text : {"", "banana", "log", "log:", "log:0", "log:-1", "mem:", "mem:3600001", "mem:5s",
                             "cow:5", "log:99999999999999999999", "logx5", "log:nonstop ", "log"}) {
        const auto choice = parse_capture_choice(text);
        ASSERT_FALSE(choice) << text;
        EXPECT_EQ(choice.error().kind, ErrorKind::usage);
        EXPECT_THAT(choice.error().message, HasSubstr("log:onepass"));
    }
}

} // namespace
} // namespace tlc
