// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/supervisor/cost_meter.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <ctime>
#include <unistd.h>

namespace {

using tlc::CostMeter;
using Seconds = CostMeter::Seconds;

CostMeter::Sample at(double time, double used) { return {Seconds(time), Seconds(used)}; }

TEST(CostMeter, IsWhatIsMissingOfTheUsualSpeed) {
    CostMeter meter;
    meter.rest(at(100, 50));
    meter.begin(at(200, 150)); // one processor
    // Ten seconds in which it got six.
    EXPECT_NEAR(meter.end(at(210, 156))->count(), 4, 1e-9);
    // Two processors from then on, and nothing is lost.
    meter.begin(at(310, 356));
    EXPECT_NEAR(meter.end(at(320, 376))->count(), 0, 1e-9);
}

TEST(CostMeter, StaysBetweenNothingAndAllOfTheTime) {
    CostMeter meter;
    meter.rest(at(0, 0));
    meter.begin(at(100, 50));
    EXPECT_EQ(meter.end(at(110, 65)), Seconds(0));
    meter.begin(at(210, 165));
    EXPECT_EQ(meter.end(at(220, 165)), Seconds(10));
}

TEST(CostMeter, SaysNothingWhereNothingCanBeSeen) {
    CostMeter meter;
    EXPECT_FALSE(meter.end(at(1, 1)));
    meter.rest(at(0, 0));
    EXPECT_FALSE(meter.end(at(10, 10))) << "without a begin";
    meter.begin(at(11, 11));
    EXPECT_FALSE(meter.end(at(12, 12))) << "seen for a second only";
    meter.begin(at(112, 13));
    EXPECT_FALSE(meter.end(at(113, 13))) << "idle";
    meter.begin(at(123, 23));
    EXPECT_FALSE(meter.end(at(223, 50))) << "longer than the time before";
}

TEST(ProcessorTime, OfThisProcessGrowsWithWhatItDoes) {
    const auto before = tlc::processor_time(::getpid());
    ASSERT_TRUE(before);
    volatile uint64_t sum = 0;
    const auto until = std::clock() + CLOCKS_PER_SEC / 4;
    while (std::clock() < until)
        sum = sum + 1;
    const auto after = tlc::processor_time(::getpid());
    ASSERT_TRUE(after);
    EXPECT_NEAR((*after - *before).count(), 0.25, 0.1);
}

TEST(ProcessorTime, OfNoProcessIsNothing) { EXPECT_FALSE(tlc::processor_time(-1)); }

} // namespace
