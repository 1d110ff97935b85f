// SPDX-License-Identifier: GPL-2.0-or-later
// For gtest: a job's directory in which checkpoints are taken and removed.
#pragma once

#include <tlc/catalog/job_directory.hpp>

#include <gtest/gtest.h>

#include "sample_manifest.hpp"
#include "temporary_directory.hpp"

namespace tlc::test {

namespace fs = std::filesystem;

class SampleJobDirectory : public ::testing::Test {
  protected:
    TemporaryDirectory root;
    std::optional<JobDirectory> job;
    std::vector<std::string> removed; // disk parts, in order; what lay beside each one then

    void SetUp() override {
        auto made = JobDirectory::create(root.path(), "cluster", "4711");
        ASSERT_TRUE(made) << made.error().message;
        job = std::move(*made);
    }

    JobDirectory::Remover remover() {
        return [this](const fs::path& path) -> Status {
            removed.push_back(path.lexically_relative(job->path()).string());
            EXPECT_FALSE(fs::exists(path.parent_path() / "manifest.json"));
            fs::remove_all(path);
            return {};
        };
    }

    uint64_t take(uint64_t epoch) {
        const auto claimed = job->claim_checkpoint();
        EXPECT_TRUE(claimed);
        write_sample_parts(claimed->directory);
        const auto published = job->publish(sample_manifest(claimed->sequence, epoch));
        EXPECT_TRUE(published) << published.error().message;
        return claimed->sequence;
    }

    std::vector<uint64_t> listed() const {
        std::vector<uint64_t> sequences;
        const auto list = job->list();
        for (const auto& checkpoint : *list)
            sequences.push_back(checkpoint.sequence);
        return sequences;
    }
};

} // namespace tlc::test
