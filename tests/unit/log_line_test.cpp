// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/log_line.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

namespace {

namespace log = tlc::log;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

TEST(LogLine, FieldsWithSpacesInTheirValues) {
    const auto line =
        log::parse_line("2026-01-31T12:00:00Z info checkpoint=3 pause_ms=5.9 stored=1.2 MiB kind=delta");
    ASSERT_TRUE(line);
    EXPECT_EQ(line->time, "2026-01-31T12:00:00Z");
    EXPECT_EQ(line->level, log::Level::info);
    EXPECT_EQ(line->message, "checkpoint=3 pause_ms=5.9 stored=1.2 MiB kind=delta");
    EXPECT_EQ(line->text, "");
    EXPECT_THAT(line->fields, ElementsAre(Pair("checkpoint", "3"), Pair("pause_ms", "5.9"),
                                          Pair("stored", "1.2 MiB"), Pair("kind", "delta")));
}

TEST(LogLine, TextBeforeTheFields) {
    const auto line = log::parse_line(
        "2026-01-31T12:00:00Z error restored checkpoint=3 taken=2026-01-31T11:00:00Z took=265 ms");
    ASSERT_TRUE(line);
    EXPECT_EQ(line->level, log::Level::error);
    EXPECT_EQ(line->text, "restored");
    EXPECT_THAT(line->fields, ElementsAre(Pair("checkpoint", "3"), Pair("taken", "2026-01-31T11:00:00Z"),
                                          Pair("took", "265 ms")));
}

TEST(LogLine, WhatIsNoField) {
    for (const char* text :
         {"signal 15 arrived", "a =b", "=", "= =", "A=1", "1a=2", "x-y=3", "", " ", "the option --a=b"}) {
        const auto line = log::parse_line(std::string("2026-01-31T12:00:00Z warning ") + text);
        ASSERT_TRUE(line) << text;
        EXPECT_EQ(line->message, text);
        EXPECT_THAT(line->fields, IsEmpty()) << text;
    }
    const auto empty = log::parse_line("2026-01-31T12:00:00Z debug a= b=");
    ASSERT_TRUE(empty);
    EXPECT_THAT(empty->fields, ElementsAre(Pair("a", ""), Pair("b", "")));
}

TEST(LogLine, WhatIsNoLine) {
    for (const char* text :
         {"", "2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z info", "2026-01-31 info text",
          "2026-01-31T12:00:00Z loud text", "info text", " 2026-01-31T12:00:00Z info text"})
        EXPECT_FALSE(log::parse_line(text)) << text;
}

// What is written can be read back, at each level.
TEST(LogLine, ReadsWhatIsWritten) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    log::set_sink(ends[1], log::Level::debug);
    log::warning("three\nlines\nof text a={}", 7);
    log::set_sink(STDERR_FILENO);
    char buffer[200];
    const auto n = ::read(ends[0], buffer, sizeof buffer);
    ::close(ends[0]), ::close(ends[1]);
    ASSERT_GT(n, 1);
    EXPECT_EQ(buffer[n - 1], '\n');
    const auto line = log::parse_line(std::string_view(buffer, static_cast<size_t>(n) - 1));
    ASSERT_TRUE(line);
    EXPECT_EQ(line->level, log::Level::warning);
    EXPECT_EQ(line->text, "three lines of text");
    EXPECT_THAT(line->fields, ElementsAre(Pair("a", "7")));
}

} // namespace
