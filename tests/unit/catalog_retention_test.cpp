// SPDX-License-Identifier: GPL-2.0-or-later
#include <gmock/gmock.h>

#include "../support/sample_job_directory.hpp"

namespace tlc {
namespace {

using ::testing::ElementsAre;
namespace fs = std::filesystem;
using Retention = test::SampleJobDirectory;

TEST_F(Retention, remove_manifest_then_disk_then_image) {
    ASSERT_TRUE(job->claim_epoch());
    take(1);
    const auto refuse = [&](const fs::path& path) -> Status {
        EXPECT_FALSE(fs::exists(job->checkpoint_directory(1) / "manifest.json"));
        EXPECT_TRUE(fs::exists(job->checkpoint_directory(1) / "memory.h5"));
        EXPECT_EQ(path, job->checkpoint_directory(1) / "disk");
        return fail("the disk is stuck");
    };
    EXPECT_FALSE(job->remove(1, refuse));
    EXPECT_TRUE(listed().empty());
    EXPECT_TRUE(job->remove(1, remover()));
    EXPECT_FALSE(fs::exists(job->checkpoint_directory(1)));
    EXPECT_TRUE(job->remove(1, remover()));
    EXPECT_THAT(removed, ElementsAre("000001/disk"));
}

TEST_F(Retention, keep_the_newest_whole_checkpoints) {
    ASSERT_TRUE(job->claim_epoch());
    for (int i = 0; i < 5; ++i)
        take(1);
    test::write_file(job->checkpoint_directory(4) / "memory.h5", "");
    test::write_file(job->checkpoint_directory(2) / "manifest.json", "");
    EXPECT_EQ(*job->prune(2, remover()), 2u);
    EXPECT_THAT(listed(), ElementsAre(5, 4, 3));
    EXPECT_EQ(*job->prune(0, remover()), 2u);
    EXPECT_THAT(listed(), ElementsAre(5));
}

TEST_F(Retention, keep_one_that_shares_no_file_with_the_newest) {
    ASSERT_TRUE(job->claim_epoch());
    // Two chains: the images 1 to 3 are built on 1, the images 4 to 6 on 4.
    const auto identity = [](uint64_t n) { return fmt::format("00000000-0000-0000-0000-{:012}", n); };
    for (uint64_t n = 1; n <= 6; ++n) {
        const auto claimed = job->claim_checkpoint();
        test::write_sample_parts(claimed->directory);
        auto manifest = test::sample_manifest(claimed->sequence, 1);
        manifest.memory.identity = identity(n);
        if (n != 1 && n != 4) {
            const auto name = "older-" + identity(n < 4 ? 1 : 4) + ".h5";
            test::write_file(claimed->directory / name, "123");
            manifest.memory.older = {{name, 3}};
        }
        ASSERT_TRUE(job->publish(manifest));
    }
    EXPECT_EQ(*job->prune(2, remover()), 3u);
    EXPECT_THAT(listed(), ElementsAre(6, 5, 3));
    EXPECT_EQ(*job->prune(3, remover()), 0u);
    EXPECT_EQ(*job->prune(1, remover()), 2u);
    EXPECT_THAT(listed(), ElementsAre(6));
}

TEST_F(Retention, do_not_count_what_is_known_to_be_damaged) {
    ASSERT_TRUE(job->claim_epoch());
    for (int i = 0; i < 4; ++i)
        take(1);
    const auto superfluous = job->prunable(2, {job->checkpoint_directory(3)});
    ASSERT_TRUE(superfluous);
    ASSERT_EQ(superfluous->size(), 1u);
    EXPECT_EQ(superfluous->front().sequence, 1u);
}

TEST_F(Retention, sweep_on_when_something_cannot_be_removed) {
    ASSERT_TRUE(job->claim_epoch());
    ASSERT_TRUE(job->claim_epoch());
    const auto stuck = job->claim_checkpoint();
    test::write_sample_parts(stuck->directory);
    const auto left = job->claim_checkpoint();
    test::write_sample_parts(left->directory);
    fs::create_directory(job->live_directory(1));
    const auto refuse = [&](const fs::path& path) -> Status {
        if (path.parent_path() == stuck->directory) return fail("the disk is stuck");
        fs::remove_all(path);
        return {};
    };
    const auto swept = job->sweep(2, refuse);
    ASSERT_FALSE(swept);
    EXPECT_EQ(swept.error().message, "the disk is stuck");
    EXPECT_FALSE(fs::exists(left->directory));
    EXPECT_FALSE(fs::exists(job->live_directory(1)));
}

TEST_F(Retention, sweep_what_dead_runs_left) {
    ASSERT_TRUE(job->claim_epoch());
    ASSERT_TRUE(job->claim_epoch());
    take(2);
    const auto left = job->claim_checkpoint();
    test::write_sample_parts(left->directory);
    test::write_file(job->checkpoint_directory(1) / "manifest.json.AbCdEf", "half");
    for (const uint64_t epoch : {1, 2})
        fs::create_directory(job->live_directory(epoch));
    test::write_file(job->job_file(), "{}");
    ASSERT_TRUE(job->sweep(2, remover()));
    EXPECT_THAT(removed, ElementsAre("000002/disk", "live-1"));
    EXPECT_FALSE(fs::exists(left->directory));
    EXPECT_FALSE(fs::exists(job->checkpoint_directory(1) / "manifest.json.AbCdEf"));
    EXPECT_TRUE(job->newest()->whole());
    EXPECT_TRUE(fs::exists(job->live_directory(2)));
    EXPECT_TRUE(fs::exists(job->job_file()));
}

} // namespace
} // namespace tlc
