// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/slurm/lease.hpp>

#include <gtest/gtest.h>

namespace {

using namespace tlc;
using namespace std::chrono_literals;

class LeaseTest : public testing::Test {
  protected:
    static SlurmJob running(unsigned restarts) {
        SlurmJob job;
        job.state = "RUNNING";
        job.restarts = restarts;
        return job;
    }
    const Lease::Clock::time_point start = Lease::Clock::now();
    Lease lease{3, 10s, start};
};

TEST_F(LeaseTest, is_lost_at_the_limit_and_not_before) {
    lease.silent(start + 9999ms);
    EXPECT_EQ(lease.state(), Lease::State::held);
    lease.silent(start + 10s);
    EXPECT_EQ(lease.state(), Lease::State::lost);
}

TEST_F(LeaseTest, counts_from_the_question_not_from_the_answer) {
    lease.answered(running(3), start + 5s);
    lease.silent(start + 14999ms);
    EXPECT_EQ(lease.state(), Lease::State::held);
    lease.silent(start + 15s);
    EXPECT_EQ(lease.state(), Lease::State::lost);
}

TEST_F(LeaseTest, comes_back_with_an_answer_only) {
    lease.silent(start + 10s);
    lease.reached(start + 11s);
    EXPECT_EQ(lease.state(), Lease::State::lost);
    lease.answered(running(3), start + 12s);
    EXPECT_EQ(lease.state(), Lease::State::held);
}

TEST_F(LeaseTest, is_kept_while_the_controller_s_machine_answers) {
    lease.reached(start + 9s);
    lease.silent(start + 18s);
    EXPECT_EQ(lease.state(), Lease::State::held);
}

TEST_F(LeaseTest, is_over_for_good_once_another_copy_has_begun) {
    lease.answered(running(4), start + 1s);
    EXPECT_EQ(lease.state(), Lease::State::over);
    lease.answered(running(3), start + 2s);
    EXPECT_EQ(lease.state(), Lease::State::over);
}

TEST_F(LeaseTest, lasts_for_ever_where_no_node_is_ever_down) {
    Lease endless(0, 0s, start);
    endless.silent(start + 24h);
    EXPECT_EQ(endless.state(), Lease::State::held);
}

// What makes it safe: wherever an earlier copy is, it stands still before slurmctld can have begun another.
TEST(LeaseLimit, is_well_inside_what_slurmctld_waits) {
    for (const auto timeout : {12s, 60s, 300s, 1800s}) {
        EXPECT_LE(lease_limit(timeout), timeout / 2);
        EXPECT_LE(lease_interval(timeout) + lease_patience(timeout), lease_limit(timeout));
        EXPECT_LT(longest_lease(timeout), timeout);
    }
}

} // namespace
