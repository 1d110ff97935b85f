// SPDX-License-Identifier: GPL-2.0-or-later
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <set>
#include <thread>

#include "../support/sample_job_directory.hpp"

namespace tlc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
namespace fs = std::filesystem;
using Jobs = test::SampleJobDirectory;

TEST_F(Jobs, have_a_private_directory) {
    EXPECT_EQ(job->path(), root / "cluster-4711");
    struct stat info {};
    ASSERT_EQ(::stat(job->path().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0700u);
    EXPECT_TRUE(JobDirectory::create(root.path(), "cluster", "4711"));
    EXPECT_TRUE(JobDirectory::open(job->path() / ""));
    EXPECT_EQ(JobDirectory::open(root / "cluster-1").error().kind, ErrorKind::no_checkpoint);
    EXPECT_EQ(job->live_directory(3), job->path() / "live-3");
    EXPECT_EQ(job->checkpoint_directory(12), job->path() / "000012");
    EXPECT_EQ(JobDirectory::of_checkpoint(job->path() / "000012")->path(), job->path());
}

TEST_F(Jobs, are_not_opened_by_a_link_or_with_open_doors) {
    fs::create_directory_symlink(job->path(), root / "link");
    EXPECT_THAT(JobDirectory::open(root / "link").error().message, HasSubstr("symbolic link"));
    EXPECT_THAT(JobDirectory::open(root / "link" / "").error().message, HasSubstr("symbolic link"));
    ASSERT_EQ(::chmod(job->path().c_str(), 0750), 0);
    EXPECT_THAT(JobDirectory::open(job->path()).error().message, HasSubstr("chmod 700"));
    EXPECT_FALSE(JobDirectory::create(root.path(), "cluster", "4711"));
    if (::geteuid() != 0) return;
    ASSERT_EQ(::chmod(job->path().c_str(), 0700), 0);
    ASSERT_EQ(::chown(job->path().c_str(), 12345, 12345), 0);
    EXPECT_THAT(JobDirectory::open(job->path()).error().message, HasSubstr("belongs to user 12345"));
}

TEST_F(Jobs, have_names_that_stay_below_the_root) {
    for (const char* name : {"", "..", "a/b", ".x", "a b", "\n"}) {
        EXPECT_FALSE(JobDirectory::create(root.path(), "cluster", name)) << name;
        EXPECT_FALSE(JobDirectory::create(root.path(), name, "1")) << name;
    }
    EXPECT_TRUE(JobDirectory::create(root / "new/root", "local", "20260131-120000-77"));
}

TEST_F(Jobs, list_below_a_root) {
    ASSERT_TRUE(JobDirectory::create(root.path(), "cluster", "12"));
    fs::create_directory(root / "else");
    test::write_file(root / "file", "");
    const auto jobs = list_job_directories(root.path());
    ASSERT_TRUE(jobs);
    ASSERT_EQ(jobs->size(), 2u);
    EXPECT_EQ((*jobs)[0].path(), root / "cluster-12");
    EXPECT_TRUE(list_job_directories(root / "nothing")->empty());
}

TEST_F(Jobs, give_every_claimer_its_own_number) {
    std::vector<std::thread> threads;
    std::array<std::pair<uint64_t, uint64_t>, 8> got;
    for (auto& pair : got)
        threads.emplace_back([this, &pair] {
            pair = {*job->claim_epoch(), job->claim_checkpoint()->sequence};
        });
    std::set<uint64_t> epochs;
    std::set<uint64_t> sequences;
    for (size_t i = 0; i < got.size(); ++i) {
        threads[i].join();
        epochs.insert(got[i].first);
        sequences.insert(got[i].second);
    }
    EXPECT_EQ(epochs.size(), 8u);
    EXPECT_EQ(sequences.size(), 8u);
    EXPECT_EQ(*job->newest_epoch(), 8u);
}

TEST_F(Jobs, list_what_is_published_newest_first) {
    EXPECT_EQ(*job->newest_epoch(), 0u);
    EXPECT_EQ(*job->claim_epoch(), 1u);
    EXPECT_TRUE(listed().empty());
    EXPECT_EQ(job->newest().error().kind, ErrorKind::no_checkpoint);
    take(1);
    take(1);
    ASSERT_TRUE(job->claim_checkpoint());
    take(1);
    EXPECT_THAT(listed(), ElementsAre(4, 2, 1));
    EXPECT_EQ(job->newest()->sequence, 4u);
    EXPECT_EQ(job->newest()->manifest, test::sample_manifest(4, 1));
}

TEST_F(Jobs, prefer_a_newer_epoch_to_a_higher_sequence) {
    ASSERT_TRUE(job->claim_epoch());
    const auto late = job->claim_checkpoint();
    take(1);
    const auto old = job->claim_checkpoint();
    test::write_sample_parts(old->directory);
    // The manifest of an old epoch that was on its way when the new one was claimed.
    ASSERT_TRUE(job->publish(test::sample_manifest(old->sequence, 1)));
    ASSERT_TRUE(job->claim_epoch());
    test::write_sample_parts(late->directory);
    ASSERT_TRUE(job->publish(test::sample_manifest(late->sequence, 2)));
    EXPECT_THAT(listed(), ElementsAre(1, 3, 2));
}

TEST_F(Jobs, fence_off_older_epochs) {
    ASSERT_TRUE(job->claim_epoch());
    ASSERT_TRUE(job->claim_epoch());
    const auto claimed = job->claim_checkpoint();
    test::write_sample_parts(claimed->directory);
    const auto published = job->publish(test::sample_manifest(claimed->sequence, 1));
    ASSERT_FALSE(published);
    EXPECT_EQ(published.error().kind, ErrorKind::busy);
    EXPECT_FALSE(fs::exists(claimed->directory / "manifest.json"));
    EXPECT_EQ(job->sweep(1, remover()).error().kind, ErrorKind::busy);
    EXPECT_TRUE(job->publish(test::sample_manifest(claimed->sequence, 2)));
    EXPECT_EQ(job->publish(test::sample_manifest(claimed->sequence, 2)).error().kind, ErrorKind::busy);
}

TEST_F(Jobs, know_when_they_were_held) {
    EXPECT_EQ(job->newest_held_epoch().value(), 0U);
    for (uint64_t epoch = 1; epoch <= 3; ++epoch)
        ASSERT_EQ(job->claim_epoch().value(), epoch);
    ASSERT_TRUE(job->hold_epoch(2));
    ASSERT_TRUE(job->hold_epoch(2));
    EXPECT_EQ(job->newest_held_epoch().value(), 2U);
    EXPECT_FALSE(job->epoch_closed(2).value());
}

TEST_F(Jobs, are_not_damaged_when_they_cannot_be_read) {
    const auto sequence = take(job->claim_epoch().value());
    const auto manifest = job->checkpoint_directory(sequence) / "manifest.json";
    fs::remove(manifest);
    fs::create_directory(manifest); // cannot be read as a file
    const auto all = job->list();
    ASSERT_TRUE(all);
    ASSERT_EQ(all->size(), 1U);
    ASSERT_TRUE(all->front().error);
    EXPECT_EQ(all->front().error->kind, ErrorKind::failed);
}

TEST_F(Jobs, publish_only_what_is_there) {
    ASSERT_TRUE(job->claim_epoch());
    const auto claimed = job->claim_checkpoint();
    EXPECT_FALSE(job->publish(test::sample_manifest(claimed->sequence, 1)));
    EXPECT_FALSE(job->publish(test::sample_manifest(99, 1)));
    EXPECT_TRUE(listed().empty());
    EXPECT_TRUE(fs::is_empty(claimed->directory));
}

TEST_F(Jobs, report_damage_and_fall_back) {
    ASSERT_TRUE(job->claim_epoch());
    take(1);
    const auto small = take(1);
    const auto broken = take(1);
    const auto moved = take(1);
    test::write_file(job->checkpoint_directory(small) / "memory.h5", "mem");
    test::write_file(job->checkpoint_directory(broken) / "manifest.json", "{");
    fs::copy_file(job->checkpoint_directory(1) / "manifest.json",
                  job->checkpoint_directory(moved) / "manifest.json", fs::copy_options::overwrite_existing);
    const auto list = job->list();
    ASSERT_TRUE(list);
    ASSERT_THAT(listed(), ElementsAre(4, 3, 2, 1));
    EXPECT_FALSE((*list)[0].whole());
    EXPECT_FALSE((*list)[1].manifest);
    EXPECT_THAT((*list)[2].error->message, HasSubstr("3 bytes instead of 6"));
    EXPECT_EQ(job->newest()->sequence, 1u);
    test::write_file(job->checkpoint_directory(1) / "manifest.json", "");
    EXPECT_THAT(job->newest().error().message, HasSubstr("memory.h5 has 3 bytes"));
}

TEST_F(Jobs, give_a_sequence_only_once) {
    ASSERT_TRUE(job->claim_epoch());
    const auto first = job->claim_checkpoint();
    ASSERT_TRUE(job->claim_epoch());
    ASSERT_TRUE(job->sweep(2, remover()));
    EXPECT_FALSE(fs::exists(first->directory));
    EXPECT_EQ(job->claim_checkpoint()->sequence, first->sequence + 1);
    // What was published before there were claims counts as well, and old claims do not pile up.
    fs::remove_all(job->path() / "sequences");
    EXPECT_EQ(job->claim_checkpoint()->sequence, first->sequence + 2);
    for (int i = 0; i < 200; ++i)
        ASSERT_TRUE(job->claim_checkpoint());
    EXPECT_EQ(*job->newest_sequence(), 203u);
    EXPECT_EQ(std::distance(fs::directory_iterator(job->path() / "sequences"), {}), 64);
}

} // namespace
} // namespace tlc
