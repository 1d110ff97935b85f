// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/slurm/job_state.hpp>

#include <gtest/gtest.h>

namespace {

using namespace tlc;

SlurmJob job_in(std::string state, unsigned restarts, std::string reason = "None") {
    SlurmJob job;
    job.state = std::move(state);
    job.reason = std::move(reason);
    job.restarts = restarts;
    return job;
}

TEST(SlurmJob, is_read_from_squeue) {
    const auto job = parse_slurm_job("7|RUNNING|None|2|1|1795657614|1795657700|1795657575|hello | x|\n", "7");
    ASSERT_TRUE(job);
    EXPECT_EQ(job->state, "RUNNING");
    EXPECT_EQ(job->restarts, 2u);
    EXPECT_TRUE(job->requeue);
    EXPECT_TRUE(job->preempted);
    EXPECT_EQ(job->ends, SlurmJob::Time(std::chrono::seconds(1795657700)));
    EXPECT_EQ(job->submitted, SlurmJob::Time(std::chrono::seconds(1795657575)));
    EXPECT_EQ(job->comment, "hello | x");
}

TEST(SlurmJob, has_no_end_without_a_limit) {
    const auto job = parse_slurm_job("7|RUNNING|None|0|0|N/A|NONE|1795657575|(null)|\n", "7");
    ASSERT_TRUE(job);
    EXPECT_FALSE(job->preempted);
    EXPECT_FALSE(job->ends);
    EXPECT_FALSE(job->requeue);
    EXPECT_EQ(job->comment, "");
}

TEST(SlurmJob, is_found_among_the_members_of_its_array) {
    const auto job = parse_slurm_job(
        "8|RUNNING|None|0|1|N/A|NONE|1|(null)|\n7|PENDING|Priority|3|1|N/A|N/A|1|(null)|\n", "7");
    ASSERT_TRUE(job);
    EXPECT_EQ(job->state, "PENDING");
    EXPECT_EQ(job->restarts, 3u);
}

TEST(SlurmJob, is_nothing_in_what_is_not_understood) {
    for (const char* text : {"", "\n", "slurm_load_jobs error: Invalid job id specified\n", "7\n", "7|\n",
                             "7|RUNNING|None|many|1|N/A|NONE|1|x|\n", "77|RUNNING|None|1|1|N/A|NONE|1|x|\n"})
        EXPECT_FALSE(parse_slurm_job(text, "7")) << text;
}

// As seen in a real cluster: COMPLETING is a job out of time, a cancelled one and one that is requeued.
TEST(SlurmJob, tells_of_a_checkpoint_in_its_comment) {
    EXPECT_TRUE(tells_of_checkpoint("[tlc: checkpoint 3 of 2026-01-31T12:00:00Z, pause 6 ms]"));
    EXPECT_TRUE(tells_of_checkpoint("of mine [tlc: checkpoint 3 of 2026-01-31T12:00:00Z; held: ...]"));
    EXPECT_FALSE(tells_of_checkpoint("[tlc: not continued on n2: there is no KVM; checkpoint]"));
    EXPECT_FALSE(tells_of_checkpoint("of mine"));
    EXPECT_FALSE(tells_of_checkpoint(""));
}

TEST(Fate, is_told_by_reason_and_restarts) {
    EXPECT_EQ(fate_of(job_in("COMPLETING", 0, "TimeLimit"), 0), Fate::timed_out);
    EXPECT_EQ(fate_of(job_in("TIMEOUT", 0), 0), Fate::timed_out);
    EXPECT_EQ(fate_of(job_in("COMPLETING", 0), 0), Fate::told);
    EXPECT_EQ(fate_of(job_in("COMPLETING", 1), 0), Fate::requeued);
    EXPECT_EQ(fate_of(job_in("COMPLETING", 1), 1), Fate::told);
    EXPECT_EQ(fate_of(job_in("CANCELLED", 0), 0), Fate::told);
    EXPECT_EQ(fate_of(job_in("RUNNING", 0), 0), Fate::told);
    EXPECT_EQ(fate_of(job_in("PENDING", 1), 0), Fate::requeued);
    EXPECT_EQ(fate_of(job_in("PREEMPTED", 0), 0), Fate::requeued);
}

TEST(Replaced, is_a_copy_that_slurm_does_not_wait_for) {
    EXPECT_TRUE(is_replaced(job_in("PENDING", 1), 0));
    EXPECT_TRUE(is_replaced(job_in("RUNNING", 1), 0));
    EXPECT_FALSE(is_replaced(job_in("COMPLETING", 1), 0));
    EXPECT_FALSE(is_replaced(job_in("RUNNING", 1), 1));
}

} // namespace
