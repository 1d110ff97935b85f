// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/supervisor/control.hpp>

#include <gtest/gtest.h>

#include <fstream>

#include "../support/temporary_directory.hpp"

namespace tlc {
namespace {

TEST(GuestEvent, KnownLines) {
    EXPECT_EQ(parse_guest_event(R"({"event":"booted"})")->kind, GuestEvent::Kind::booted);
    EXPECT_EQ(parse_guest_event(R"({"event":"started","pid":7})")->kind, GuestEvent::Kind::started);
    const auto exited = parse_guest_event(R"({"event":"exit","code":7})");
    ASSERT_TRUE(exited);
    EXPECT_EQ(exited->kind, GuestEvent::Kind::exited);
    EXPECT_FALSE(exited->signalled);
    EXPECT_EQ(exited->code, 7);
    const auto killed = parse_guest_event(R"({"event":"exit","signal":9})");
    ASSERT_TRUE(killed);
    EXPECT_TRUE(killed->signalled);
    EXPECT_EQ(killed->code, 9);
    EXPECT_EQ(parse_guest_event(R"({"event":"error","message":"no root"})")->message, "no root");
}

TEST(GuestEvent, AnythingElseIsNone) {
    for (const char* line : {"", "x", "[]", "{}", R"({"event":1})", R"({"event":"dance"})",
                             R"({"event":"exit"})", R"({"event":"exit","code":"7"})",
                             R"({"event":"exit","code":-1})", R"({"event":"exit","code":256})"})
        EXPECT_FALSE(parse_guest_event(line)) << line;
}

TEST(ControlReader, TakesALineWhenItsEndHasArrived) {
    const test::TemporaryDirectory directory;
    const auto path = directory.path() / "control";
    auto reader = ControlReader::open(path);
    ASSERT_TRUE(reader);
    std::ofstream(path, std::ios::app) << "{\"event\":\"booted\"}\n{\"event\":\"exi";
    EXPECT_EQ(reader->poll()->size(), 1U);
    std::ofstream(path, std::ios::app) << "t\",\"code\":0}\n";
    const auto events = reader->poll();
    ASSERT_EQ(events->size(), 1U);
    EXPECT_EQ(events->front().kind, GuestEvent::Kind::exited);
}

} // namespace
} // namespace tlc
