// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/supervisor/checkpoint_timer.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using namespace std::chrono_literals;
using tlc::CheckpointTimer;
using tlc::Seconds;
using Clock = CheckpointTimer::Clock;
using testing::HasSubstr;

constexpr uint64_t gibi = uint64_t{1} << 30;

tlc::JobRequest request_for(std::chrono::seconds interval) {
    tlc::JobRequest request;
    request.interval = interval;
    request.automatic = interval == 0s;
    return request;
}

// The `count` first checkpoints of a life, each costing as much; when the one after them is due, from the
// start of the last.
Seconds take(CheckpointTimer& timer, int count, Clock::time_point& now) {
    Clock::time_point due = now;
    for (int n = 0; n < count; ++n) {
        now = timer.begin(now);
        timer.begin(now);
        due = timer.learn(n == 0, 5ms, 400ms, now + 400ms);
    }
    return due - now;
}

TEST(Timer, AFixedIntervalIsKept) {
    CheckpointTimer timer(request_for(90s), {}, gibi);
    const Clock::time_point start{1000s};
    EXPECT_EQ(timer.begin_life(1, start), start + 90s);
    EXPECT_EQ(timer.begin(start + 7s), start + 97s);
    EXPECT_EQ(timer.learn(true, 5ms, 60s, start + 70s), start + 97s);
    EXPECT_TRUE(timer.memory(start).is_null());
}

TEST(Timer, AFailedCheckpointIsTriedAgainSoonAndThenLessOften) {
    CheckpointTimer timer(request_for(4h), {}, gibi);
    Clock::time_point now{1000s};
    timer.begin_life(1, now);
    for (const auto expected : {30s, 60s, 120s, 240s, 480s}) {
        timer.begin(now);
        now += 7s;
        EXPECT_EQ(timer.failed(now), now + expected);
    }
    // Never later than its next turn.
    for (int n = 0; n < 100; ++n) {
        timer.begin(now);
        EXPECT_LE(timer.failed(now + 1s), now + 4h);
    }
    EXPECT_EQ(timer.failed(now + 1s), now + 4h);
    // One that was taken makes it forget.
    timer.begin(now);
    timer.learn(true, 5ms, 400ms, now + 1s);
    timer.begin(now + 4h);
    EXPECT_EQ(timer.failed(now + 4h), now + 4h + 30s);

    CheckpointTimer often(request_for(5s), {}, gibi);
    often.begin_life(1, now);
    often.begin(now);
    EXPECT_EQ(often.failed(now + 1s), now + 5s);
}

TEST(Timer, AnIntervalCountsFromTheBeginOfACheckpoint) {
    CheckpointTimer timer(request_for(0s), {}, gibi);
    Clock::time_point now{1000s};
    EXPECT_LE(timer.begin_life(1, now) - now, 600s);
    EXPECT_LE(take(timer, 1, now), 600s + 1s);
    // sqrt(2 * 0.104 s * 30 days)
    EXPECT_NEAR(take(timer, 3, now).count(), 734, 20);
}

TEST(Timer, MeasuresTheCostByTheProcessorTime) {
    CheckpointTimer timer(request_for(0s), {}, gibi);
    Clock::time_point now{1000s};
    Seconds used{0};
    timer.begin_life(1, now, [&] { return used; });
    for (int n = 0; n < 10; ++n) {
        now += 600s, used += 600s;
        timer.begin(now);
        now += 10s, used += 8s;
        timer.learn(n == 0, 5ms, 10s, now);
    }
    EXPECT_NEAR(timer.memory(now)["further"]["cost_s"], 2, 0.01);
    EXPECT_EQ(timer.memory(now)["further"]["count"], 9);
}

TEST(Timer, InterruptionsMakeItShorter) {
    Clock::time_point now{1000s};
    CheckpointTimer calm(request_for(0s), {}, gibi);
    calm.begin_life(1, now);
    const auto usual = take(calm, 3, now);
    CheckpointTimer restless(request_for(0s), {}, gibi);
    restless.begin_life(20, now);
    EXPECT_LT(take(restless, 3, now), usual / 2);
}

TEST(Timer, WhatWasLearntOutlivesTheProcess) {
    Clock::time_point now{1000s};
    CheckpointTimer first(request_for(0s), {}, gibi);
    first.begin_life(1, now);
    take(first, 3, now);
    nlohmann::json job = {{"branch", ""}};
    job[CheckpointTimer::key] = first.memory(now);
    EXPECT_THAT(job["auto"]["choice"], HasSubstr("measured=3"));
    EXPECT_GT(job["auto"]["ran_s"], 600.0);

    CheckpointTimer second(request_for(0s), {}, gibi);
    const Clock::time_point later{5s};
    second.resume(job, later);
    const auto due = second.begin_life(2, later) - later;
    EXPECT_THAT(second.memory(later)["choice"], HasSubstr("rule=optimum"));
    EXPECT_THAT(second.memory(later)["choice"], HasSubstr("interruptions=1"));
    // And about half an interval that nobody has seen.
    EXPECT_NEAR(second.memory(later)["ran_s"], job["auto"]["ran_s"].get<double>() + 300, 100);
    // One failure in a job that has hardly run: two thirds of the configured MTBF.
    EXPECT_NEAR(Seconds(due).count(), 734 * 0.8165, 20);
}

TEST(Timer, TimeIsCountedOnceWhenTheVmIsRestoredInPlace) {
    CheckpointTimer timer(request_for(0s), {}, gibi);
    const Clock::time_point start{1000s};
    timer.begin_life(1, start);
    nlohmann::json job;
    job[CheckpointTimer::key] = timer.memory(start + 100s);
    timer.resume(job, start + 150s);
    timer.begin_life(2, start + 150s);
    EXPECT_DOUBLE_EQ(timer.memory(start + 160s)["ran_s"], 160.0);
}

TEST(Timer, LivesThatLeftNothingHaveRunToo) {
    CheckpointTimer timer(request_for(0s), {}, gibi);
    const Clock::time_point start{1000s};
    timer.begin_life(5, start);
    // Four of them, each up to the first checkpoint, which comes after ten minutes or earlier.
    EXPECT_NEAR(timer.memory(start)["ran_s"], 1200, 200);
    EXPECT_EQ(timer.memory(start)["interruptions"], 4);
    CheckpointTimer absurd(request_for(0s), {}, gibi);
    absurd.begin_life(UINT64_MAX, start);
    EXPECT_GT(absurd.begin(start), start);
}

TEST(Timer, StrangeMemoriesAreNone) {
    for (const char* text : {"null", "[]", "{}", R"({"auto": 3})", R"({"auto": {"full": [], "ran_s": "x"}})",
                             R"({"auto": {"ran_s": -1, "further": {"count": -2}}})"}) {
        CheckpointTimer timer(request_for(0s), {}, gibi);
        const Clock::time_point start{1000s};
        timer.resume(nlohmann::json::parse(text), start);
        EXPECT_EQ(timer.memory(start)["ran_s"], 0.0) << text;
        EXPECT_GT(timer.begin_life(2, start), start) << text;
        EXPECT_THAT(timer.memory(start)["choice"], HasSubstr("measured=0")) << text;
    }
}

TEST(Timer, CheckpointsDoNotFollowFasterThanTheyAreCarried) {
    CheckpointTimer timer(request_for(0s), {}, gibi);
    Clock::time_point now{1000s};
    timer.begin_life(1, now);
    timer.carried(7200s);
    EXPECT_GE(take(timer, 4, now), 7000s);
}

} // namespace
