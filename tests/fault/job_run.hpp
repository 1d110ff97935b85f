// SPDX-License-Identifier: GPL-2.0-or-later
// JobRun does with a job directory what a supervisor and its engine do, file by file, without a VM: the steps
// of Supervisor::begin_life, SaveRun and Supervisor::publish in their order. The disk part is a plain
// directory.
#pragma once

#include <tlc/catalog/job_directory.hpp>
#include <tlc/image/writer.hpp>

#include <functional>
#include <optional>
#include <string>

namespace tlc::test {

class JobRun {
  public:
    using Note = std::function<void(const std::string&)>;

    // Claims an epoch, sweeps, makes a live disk. `note` is told what others may rely on from then on
    // (README.md). The first checkpoint is of step first_step.
    static Result<JobRun> begin(JobDirectory job, uint64_t first_step, Note note);

    // Takes and publishes a checkpoint of the next step. One that fails is given up, and the next is a full
    // one.
    Status take();
    // The engine is another one: the next checkpoint is a full one.
    void restart_engine() { base_.reset(); }
    // Only warns: what is too old stays.
    void prune(size_t keep);
    uint64_t epoch() const { return epoch_; }

  private:
    JobRun(JobDirectory job, uint64_t first_step, Note note)
        : job_(std::move(job)), note_(std::move(note)), step_(first_step) {}
    Status save(const std::filesystem::path& out, Manifest& manifest);
    Status write_image(const std::filesystem::path& out, Manifest& manifest);
    Status settle_disk(const std::filesystem::path& out, Manifest& manifest);

    JobDirectory job_;
    Note note_;
    uint64_t step_;
    uint64_t epoch_ = 0;
    std::optional<ImageBase> base_; // as SaveRun's
    std::filesystem::path last_out_;
};

} // namespace tlc::test
