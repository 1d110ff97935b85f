// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/supervisor/job_file.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "../support/temporary_directory.hpp"

namespace tlc {
namespace {

constexpr uint64_t mib = uint64_t{1} << 20;
constexpr uint64_t overhead = 256 * mib;

TEST(MemoryPlan, DividesWhatTheJobHas) {
    const auto plan = plan_memory({}, 4096 * mib, overhead);
    ASSERT_TRUE(plan);
    EXPECT_LE(plan->guest_bytes + plan->buffer_bytes + overhead, 4096 * mib);
    EXPECT_GE(plan->guest_bytes, 3500 * mib);
    EXPECT_GE(plan->buffer_bytes, plan->guest_bytes / 16);
}

TEST(MemoryPlan, TheBufferIsAtLeast64MiB) {
    EXPECT_EQ(plan_memory({}, 700 * mib, overhead)->buffer_bytes, 64 * mib);
}

TEST(MemoryPlan, ARequestThatDoesNotFitSaysWhatToWrite) {
    JobRequest request;
    request.memory_bytes = 2048 * mib;
    const auto plan = plan_memory(request, 1024 * mib, overhead);
    ASSERT_FALSE(plan);
    EXPECT_NE(plan.error().message.find("--mem=2448M"), std::string::npos) << plan.error().message;
    EXPECT_TRUE(plan_memory(request, 2448 * mib, overhead));
}

TEST(MemoryPlan, TooSmallAJobSaysWhatToWrite) {
    const auto plan = plan_memory({}, 300 * mib, overhead);
    ASSERT_FALSE(plan);
    EXPECT_NE(plan.error().message.find("--mem=514M"), std::string::npos) << plan.error().message;
}

TEST(JobEnvironment, LeavesOutWhatSteersUs) {
    ::setenv("TLC_JOB_REQUEST", "x", 1);
    ::setenv("TMPDIR", "/somewhere/private", 1);
    ::setenv("MINE", "kept", 1);
    const auto environment = job_environment();
    const auto has = [&](const char* entry) {
        return std::find(environment.begin(), environment.end(), entry) != environment.end();
    };
    EXPECT_FALSE(has("TLC_JOB_REQUEST=x"));
    EXPECT_TRUE(has("TMPDIR=/tmp"));
    EXPECT_TRUE(has("MINE=kept"));
    for (const char* name : {"TLC_JOB_REQUEST", "TMPDIR", "MINE"})
        ::unsetenv(name);
}

TEST(JobFromSlurm, NamesAMemberOfAnArrayAsScontrolWantsIt) {
    ::setenv("TLC_JOB_REQUEST", "interval=60\n", 1);
    ::setenv("SLURM_CLUSTER_NAME", "cluster", 1);
    ::setenv("SLURM_JOB_ID", "12", 1);
    ::setenv("SLURM_JOB_NUM_NODES", "1", 1);
    ::setenv("SLURMD_NODENAME", "n1", 1);
    ASSERT_TRUE(job_from_slurm({})) << job_from_slurm({}).error().message;
    EXPECT_EQ(job_from_slurm({})->slurm_name, "12");
    EXPECT_EQ(job_from_slurm({})->node, "n1");
    ::setenv("SLURM_ARRAY_JOB_ID", "12", 1);
    ::setenv("SLURM_ARRAY_TASK_ID", "2", 1);
    EXPECT_EQ(job_from_slurm({})->id, "12");
    EXPECT_EQ(job_from_slurm({})->slurm_name, "12_2");
    ::unsetenv("SLURM_ARRAY_JOB_ID");
    ::unsetenv("SLURM_ARRAY_TASK_ID");
}

TEST(JobFromSlurm, RefusesWhatMakesNoDirectoryName) {
    ::setenv("TLC_JOB_REQUEST", "", 1);
    ::setenv("SLURM_CLUSTER_NAME", "a/../b", 1);
    ::setenv("SLURM_JOB_ID", "12", 1);
    EXPECT_FALSE(job_from_slurm({}));
    ::setenv("SLURM_CLUSTER_NAME", "cluster", 1);
    ::setenv("SLURM_JOB_NUM_NODES", "2", 1);
    const auto two_nodes = job_from_slurm({});
    ASSERT_FALSE(two_nodes);
    EXPECT_NE(two_nodes.error().message.find("--nodes=1"), std::string::npos);
}

TEST(JobResult, KeepsHowTheJobEndedAndWhoseEndItWas) {
    const test::TemporaryDirectory directory;
    ASSERT_TRUE(write_job_result(directory.path(), {false, 7, "2026-01-31T12:00:00Z", "c-12", 3, false}));
    const auto result = read_job_result(directory.path());
    ASSERT_TRUE(result);
    EXPECT_EQ(result->code, 7);
    EXPECT_EQ(result->by, "c-12");
    EXPECT_EQ(result->restarts, 3U);
    EXPECT_FALSE(result->complete);
}

TEST(JobResult, OfAnEarlierVersionIsComplete) {
    const auto result = parse_job_result(R"({"version":1,"signalled":false,"code":0,"ended":"x"})");
    ASSERT_TRUE(result);
    EXPECT_TRUE(result->complete);
    EXPECT_EQ(result->by, "");
    EXPECT_FALSE(parse_job_result(R"({"signalled":false,"code":0,"ended":"x","restarts":"many"})"));
}

TEST(OutputBases, AreKeptForEachRun) {
    const test::TemporaryDirectory directory;
    ASSERT_TRUE(write_output_bases(directory.path(), "c-12", {5, 0}));
    EXPECT_EQ(read_output_bases(directory.path(), "c-12").value(), (std::vector<uint64_t>{5, 0}));
    EXPECT_FALSE(read_output_bases(directory.path(), "c-13"));
}

} // namespace
} // namespace tlc
