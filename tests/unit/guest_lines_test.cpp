// SPDX-License-Identifier: GPL-2.0-or-later
#include <gtest/gtest.h>
#include <guest/commands.hpp>
#include <guest/events.hpp>
#include <guest/module_list.hpp>

#include <csignal>
#include <random>

using namespace tlc::guest;

TEST(GuestCommands, Signal) {
    CommandReader reader;
    EXPECT_TRUE(reader.feed(R"({"command":"sig)").empty());
    auto commands =
        reader.feed("nal\",\"number\":15}\n{\"command\":\"signal\",\"number\":10,\"to\":\"script\"}\n");
    ASSERT_EQ(commands.size(), 2u);
    EXPECT_EQ(commands[0].number, 15);
    EXPECT_FALSE(commands[0].script_only);
    EXPECT_EQ(commands[1].number, 10);
    EXPECT_TRUE(commands[1].script_only);
}

TEST(GuestCommands, IgnoresWhatItDoesNotKnow) {
    CommandReader reader;
    for (const char* line :
         {"", "x", "[]", "{}", "{\"command\":1,\"number\":1}", "{\"command\":\"signal\"}",
          "{\"command\":\"signal\",\"number\":0}", "{\"command\":\"signal\",\"number\":65}",
          "{\"command\":\"signal\",\"number\":-9}", "{\"command\":\"signal\",\"number\":1.5}",
          "{\"command\":\"signal\",\"number\":\"15\"}", "{\"command\":\"halt\",\"number\":15}"})
        EXPECT_TRUE(reader.feed(std::string(line) + "\n").empty()) << line;
    EXPECT_EQ(reader.feed("{\"command\":\"signal\",\"number\":15}\n").size(), 1u);
}

TEST(GuestCommands, RecoversFromALongLine) {
    CommandReader reader;
    EXPECT_TRUE(reader.feed(std::string(100'000, '[')).empty());
    EXPECT_TRUE(reader.feed("\n").empty());
    EXPECT_EQ(reader.feed("{\"command\":\"signal\",\"number\":15}\n").size(), 1u);
}

TEST(GuestCommands, SurvivesNoise) {
    std::mt19937 random(1);
    CommandReader reader;
    for (int i = 0; i < 2000; ++i) {
        std::string noise;
        for (auto n = random() % 200; n > 0; --n)
            noise += "{}[]\":,\n\\u0signal\x80\xff\0"[random() % 20];
        (void)reader.feed(noise);
    }
    reader.reset();
    EXPECT_EQ(reader.feed("{\"command\":\"signal\",\"number\":15}\n").size(), 1u);
}

TEST(GuestEvents, Lines) {
    EXPECT_EQ(booted_event(), "{\"event\":\"booted\"}\n");
    EXPECT_EQ(started_event(42), "{\"event\":\"started\",\"pid\":42}\n");
    EXPECT_EQ(exit_event(7 << 8), "{\"event\":\"exit\",\"code\":7}\n");
    EXPECT_EQ(exit_event(SIGTERM), "{\"event\":\"exit\",\"signal\":15}\n");
    EXPECT_EQ(heartbeat_event(std::chrono::seconds(20)), "{\"event\":\"heartbeat\",\"seconds\":20}\n");
    EXPECT_EQ(error_event("a \"b\"\n"), "{\"event\":\"error\",\"message\":\"a \\\"b\\\"\\n\"}\n");
    EXPECT_NE(error_event("\xff").find("event"), std::string::npos);
}

TEST(GuestModules, List) {
    EXPECT_EQ(parse_module_list("/a.ko\n\n# no\n/b.ko \n"), (std::vector<std::string>{"/a.ko", "/b.ko"}));
}
