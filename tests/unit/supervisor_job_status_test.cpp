// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/supervisor/job_status.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using namespace tlc;

JobStatus some_status() {
    JobStatus status;
    status.job = "cluster-7";
    status.node = "n1";
    status.state = "running";
    status.epoch = 2;
    status.started = JobStatus::Time(std::chrono::seconds(1700000000));
    status.updated = JobStatus::Time(std::chrono::seconds(1700000100));
    status.next_checkpoint = JobStatus::Time(std::chrono::seconds(1700000160));
    status.interval = std::chrono::seconds(60);
    status.checkpoints = 3;
    status.failed = 1;
    status.stopped_ms = 21.5;
    status.longest_pause_ms = 9.25;
    status.last = JobStatus::Last{4, JobStatus::Time(std::chrono::seconds(1700000099)), 6.5, 250, 1 << 20};
    return status;
}

TEST(JobStatus, is_read_back) {
    auto status = some_status();
    const auto back = parse_status(status_text(status));
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(*back, status);
    status.last.reset();
    EXPECT_EQ(parse_status(status_text(status)), status);
}

TEST(JobStatus, of_another_version_or_damaged_is_refused) {
    for (const char* text :
         {"", "{", "[]", "{}", R"({"version":2})", R"({"version":1})", R"({"version":1,"job":7})"}) {
        const auto status = parse_status(text);
        ASSERT_FALSE(status) << text;
        EXPECT_EQ(status.error().kind, ErrorKind::damaged);
    }
}

TEST(JobStatus, becomes_metrics) {
    const auto text = metrics_text(some_status());
    EXPECT_THAT(text, testing::HasSubstr("# TYPE tlc_checkpoints_total counter\n"
                                         "tlc_checkpoints_total{job=\"cluster-7\"} 3\n"));
    EXPECT_THAT(text,
                testing::HasSubstr("tlc_last_checkpoint_timestamp_seconds{job=\"cluster-7\"} 1700000099\n"));
    EXPECT_THAT(text, testing::HasSubstr("tlc_running{job=\"cluster-7\"} 1\n"));
}

} // namespace
