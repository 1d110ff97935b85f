// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/supervisor/interval_policy.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace {

using tlc::CheckpointCost;
using tlc::IntervalPolicy;
using tlc::IntervalSettings;
using tlc::Seconds;
using Rule = tlc::IntervalChoice::Rule;

constexpr Seconds hour{3600}, day{86400};
constexpr uint64_t gibi = uint64_t{1} << 30;

IntervalSettings site(Seconds mtbf, double overhead = 1) {
    IntervalSettings settings;
    settings.node_mtbf = mtbf;
    settings.max_overhead = overhead;
    return settings;
}

IntervalPolicy measured(const IntervalSettings& settings, CheckpointCost cost) {
    IntervalPolicy policy(settings, gibi);
    policy.learn(true, cost);
    policy.learn(false, cost);
    return policy;
}

// The time a second of work takes, from the header.
double expected(double interval, double cost, double mtbf) {
    return mtbf * std::expm1(interval / mtbf) / (interval - cost);
}

TEST(Daly, IsYoungsForRareFailures) {
    EXPECT_NEAR(tlc::daly_interval(Seconds(1), 365 * day).count(), std::sqrt(2 * 365 * 86400.0), 1);
}

TEST(Daly, IsCloseToTheBestInterval) {
    for (const double cost : {0.01, 1.0, 60.0, 900.0}) {
        const double mtbf = 1800;
        double best = std::numeric_limits<double>::infinity();
        for (double interval = cost * 1.001; interval < 20 * mtbf; interval *= 1.001)
            best = std::min(best, expected(interval, cost, mtbf));
        const double chosen = tlc::daly_interval(Seconds(cost), Seconds(mtbf)).count();
        EXPECT_LT(expected(chosen, cost, mtbf), best * 1.002) << cost;
    }
}

TEST(Daly, CostsAboveTwiceTheMtbf) {
    EXPECT_EQ(tlc::daly_interval(Seconds(500), Seconds(100)), Seconds(600));
    EXPECT_EQ(tlc::daly_interval(Seconds(200), Seconds(100)), Seconds(300));
}

TEST(Best, IsDalysUnlessTheLatencyIsLonger) {
    const Seconds mtbf(2000), daly = tlc::daly_interval(Seconds(10), mtbf);
    EXPECT_EQ(tlc::best_interval({Seconds(10), Seconds(10)}, mtbf), daly);
    // Continuous where the one formula goes over to the other.
    EXPECT_NEAR(tlc::best_interval({Seconds(10), daly * 1.001}, mtbf) / daly, 1, 0.01);
    // From the header: the time a second of work takes, checkpoints one after the other.
    const double latency = 1500, cost = 10, rate = 1 / mtbf.count(), survives = std::exp(-rate * latency);
    const auto slowness = [&](double first) {
        return std::exp(rate * first) / (survives * (latency - cost) + (1 - survives) * first);
    };
    const double best = tlc::best_interval({Seconds(cost), Seconds(latency)}, mtbf).count();
    EXPECT_GT(best, daly.count());
    EXPECT_LT(best, latency);
    EXPECT_LT(slowness(best), slowness(best * 1.05));
    EXPECT_LT(slowness(best), slowness(best * 0.95));
}

TEST(Mtbf, IsTheConfiguredOneWithoutHistory) { EXPECT_EQ(tlc::estimate_mtbf(30 * day, {}), 30 * day); }

TEST(Mtbf, GoesOverToWhatIsSeen) {
    const Seconds configured = 30 * day;
    // As expected: stays.
    EXPECT_NEAR(tlc::estimate_mtbf(configured, {90 * day, 3}) / configured, 1, 1e-12);
    // Three times worse.
    const auto soon = tlc::estimate_mtbf(configured, {20 * day, 2});
    const auto later = tlc::estimate_mtbf(configured, {1000 * day, 100});
    EXPECT_LT(soon, configured);
    EXPECT_NEAR(later / day, 10, 0.5);
    // Long without a failure: better than was thought.
    EXPECT_GT(tlc::estimate_mtbf(configured, {60 * day, 0}), configured);
    // Interrupted at once, again and again.
    EXPECT_LT(tlc::estimate_mtbf(configured, {Seconds(0), 10}), configured / 5);
}

TEST(Cost, IsBetweenThePauseAndTheLatency) {
    const auto live = tlc::observed_cost(Seconds(0.01), Seconds(4));
    EXPECT_GT(live.cost, Seconds(0.5));
    EXPECT_LT(live.cost, Seconds(2));
    EXPECT_EQ(live.latency, Seconds(4));
    // The VM stands still until all is done.
    EXPECT_EQ(tlc::observed_cost(Seconds(4), Seconds(4)).cost, Seconds(4));
    EXPECT_EQ(tlc::observed_cost(Seconds(4), Seconds(0)).latency, Seconds(4));
}

TEST(Policy, ComesEarlyUntilItKnowsTheCost) {
    IntervalPolicy policy(site(30 * day), gibi);
    auto choice = policy.choose({});
    EXPECT_EQ(choice.rule, Rule::early);
    EXPECT_EQ(choice.measured, 0U);
    EXPECT_GE(choice.interval, Seconds(60));
    EXPECT_LE(choice.interval, Seconds(600));
    policy.learn(true, {Seconds(0.4), Seconds(1)});
    EXPECT_LE(policy.choose({}).interval, Seconds(600));
    policy.learn(false, {Seconds(0.4), Seconds(1)});
    choice = policy.choose({});
    EXPECT_EQ(choice.rule, Rule::optimum);
    EXPECT_EQ(choice.interval, choice.optimum);
    EXPECT_EQ(choice.measured, 2U);
    EXPECT_NEAR(choice.interval.count(), std::sqrt(2 * 0.4 * 30 * 86400), 1);
}

TEST(Policy, TheGuessGrowsWithTheMemory) {
    const auto small = IntervalPolicy(site(hour), gibi).choose({});
    const auto large = IntervalPolicy(site(hour), 1024 * gibi).choose({});
    EXPECT_GT(large.checkpoint.cost, small.checkpoint.cost);
    EXPECT_GT(large.interval, small.interval);
    EXPECT_LT(large.interval, 2 * hour);
}

TEST(Policy, TheFirstOfAStartDoesNotCountAmongTheOthers) {
    IntervalPolicy policy(site(30 * day), gibi);
    policy.learn(true, {Seconds(100), Seconds(200)});
    EXPECT_EQ(policy.choose({}).checkpoint.cost, Seconds(100));
    policy.learn(false, {Seconds(1), Seconds(2)});
    policy.learn(true, {Seconds(100), Seconds(200)});
    EXPECT_EQ(policy.choose({}).checkpoint.cost, Seconds(1));
    EXPECT_EQ(policy.choose({}).measured, 3U);
}

TEST(Policy, FollowsChangingCosts) {
    auto policy = measured(site(30 * day), {Seconds(1), Seconds(2)});
    for (int n = 0; n < 20; ++n)
        policy.learn(false, {Seconds(4), Seconds(8)});
    EXPECT_NEAR(policy.choose({}).checkpoint.cost.count(), 4, 0.1);
    EXPECT_NEAR(policy.choose({}).checkpoint.latency.count(), 8, 0.2);
}

TEST(Policy, KeepsWhatAnEarlierRunHasLearnt) {
    const auto before = measured(site(30 * day), {Seconds(3), Seconds(5)});
    IntervalPolicy after(site(30 * day), gibi);
    after.resume(before.full(), before.further());
    EXPECT_EQ(after.choose({}).interval, before.choose({}).interval);
    EXPECT_EQ(after.choose({}).rule, Rule::optimum);
}

TEST(Policy, NodesShareTheFailures) {
    auto settings = site(1000 * day);
    settings.nodes = 1000;
    const auto choice = measured(settings, {Seconds(1), Seconds(1)}).choose({});
    EXPECT_EQ(choice.configured, day);
    EXPECT_EQ(choice.mtbf, day);
}

TEST(Policy, EachLimitAndItsName) {
    auto settings = site(30 * day, 0.02);
    const CheckpointCost cheap{Seconds(1), Seconds(2)};
    settings.longest = Seconds(900);
    auto choice = measured(settings, cheap).choose({});
    EXPECT_EQ(choice.rule, Rule::longest);
    EXPECT_EQ(choice.interval, Seconds(900));
    // What the site promises goes before what it wishes.
    choice = measured(settings, {Seconds(100), Seconds(2)}).choose({});
    EXPECT_EQ(choice.rule, Rule::overhead);
    EXPECT_EQ(choice.interval, Seconds(5000));
    // As soon as the last is durable.
    choice = measured(settings, {Seconds(100), Seconds(6000)}).choose({});
    EXPECT_EQ(choice.rule, Rule::latency);
    EXPECT_LE(choice.interval, Seconds(6000));
    settings = site(hour);
    settings.shortest = Seconds(600);
    choice = measured(settings, cheap).choose({});
    EXPECT_EQ(choice.rule, Rule::shortest);
    EXPECT_EQ(choice.interval, Seconds(600));
}

TEST(Policy, LatencyDoesNotMoveTheOptimum) {
    const auto soon = measured(site(day), {Seconds(5), Seconds(5)}).choose({});
    const auto late = measured(site(day), {Seconds(5), Seconds(500)}).choose({});
    EXPECT_EQ(soon.interval, late.interval);
}

TEST(Policy, WhatNobodySawIsHalfAnIntervalAndALatency) {
    const auto policy = measured(site(day), {Seconds(10), Seconds(100)});
    const auto choice = policy.choose({});
    EXPECT_NEAR(policy.unseen({}).count(), (choice.interval.count() + 100) / 2, 1e-6);
    // But no more than the time between two failures.
    const auto hasty = measured(site(Seconds(60)), {Seconds(10), Seconds(1000)});
    EXPECT_EQ(hasty.unseen({}), Seconds(60));
}

TEST(Policy, NonsenseStaysWithinReason) {
    const double infinity = std::numeric_limits<double>::infinity();
    const double nan = std::numeric_limits<double>::quiet_NaN();
    for (const double mtbf : {-1.0, 0.0, nan, infinity, 1e300})
        for (const double cost : {-1.0, 0.0, nan, infinity, 1e300})
            for (const double overhead : {-1.0, 0.0, nan, 2.0}) {
                auto policy = measured(site(Seconds(mtbf), overhead), {Seconds(cost), Seconds(cost)});
                const auto choice = policy.choose({Seconds(mtbf > 0 ? 1e9 : 0), 3});
                EXPECT_GT(choice.interval.count(), 0) << mtbf << " " << cost << " " << overhead;
                EXPECT_LE(choice.interval.count(), 1e9) << mtbf << " " << cost << " " << overhead;
                EXPECT_FALSE(tlc::describe(choice).empty());
            }
}

TEST(Policy, IsDescribedInOneLine) {
    const auto choice = measured(site(30 * day), {Seconds(0.3), Seconds(1.5)}).choose({10 * hour, 1});
    EXPECT_EQ(
        tlc::describe(choice),
        "interval=0:17:01 rule=optimum optimum=0:17:01 mtbf=483:20:00 configured=720:00:00 ran=10:00:00 "
        "interruptions=1 cost=300 ms latency=1.5 s measured=2");
}

} // namespace
