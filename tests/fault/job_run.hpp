// SPDX-License-Identifier: GPL-2.0-or-later
// JobRun does with a job directory what a supervisor and its engine do, file by file, without a VM: the steps
// of Supervisor::begin_life, SaveRun, Supervisor::publish and of carrying in their order. The disk part is a
// plain directory, or chains of images. Carrying is not in the background.
#pragma once

#include <tlc/catalog/job_directory.hpp>
#include <tlc/disk/disk_sums.hpp>
#include <tlc/image/writer.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "chain_disk.hpp"

namespace tlc::test {

// Where checkpoints are taken, and where they are carried to: the same with one level.
struct Levels {
    JobDirectory store;
    JobDirectory job;    // has the epochs
    bool chains = false; // the disk's images
    bool two() const { return store.path() != job.path(); }
    // node: where the node's own job directories are; empty: one level.
    static Result<Levels> create(const std::filesystem::path& root, const std::filesystem::path& node,
                                 bool chains);
};

class JobRun {
  public:
    using Note = std::function<void(const std::string&)>;

    // Claims an epoch, sweeps, carries what a former life could not, makes a live disk. `note` is told what
    // others may rely on from then on (README.md). The first checkpoint is of step first_step.
    static Result<JobRun> begin(Levels levels, uint64_t first_step, Note note);

    // Takes and publishes a checkpoint of the next step. One that fails is given up, and the next is a full
    // one.
    Status take();
    // With two levels: carries the checkpoint that was taken last, if it was published. One that fails is
    // removed there.
    Status carry_taken(size_t keep);
    // Instead: another one is published before this one has left.
    void do_not_carry_taken();
    // The engine is another one: the next checkpoint is a full one.
    void restart_engine();
    // Of those taken. Only warns: what is too old stays.
    void prune(size_t keep);
    uint64_t epoch() const { return epoch_; }

  private:
    JobRun(Levels levels, uint64_t first_step, Note note)
        : levels_(std::move(levels)), note_(std::move(note)), step_(first_step) {}
    void sweep();
    Status sweep_levels();
    void note_found(const JobDirectory& level, const char* word);
    Result<ClaimedCheckpoint> claim();
    Status carry(uint64_t sequence, uint64_t step);
    void give_up_carrying(uint64_t sequence);
    Status save(const std::filesystem::path& out, Manifest& manifest);
    Status write_image(const std::filesystem::path& out, Manifest& manifest);
    Status freeze_disk(const std::filesystem::path& out);
    Status settle_disk(const std::filesystem::path& out, Manifest& manifest);
    Status sum_disk_part(const std::filesystem::path& out, Manifest& manifest, SummedDisk& summed);

    Levels levels_;
    Note note_;
    uint64_t step_;
    uint64_t epoch_ = 0;
    std::optional<ImageBase> base_; // as SaveRun's
    std::filesystem::path last_out_;
    std::optional<SummedDisk> summed_disk_;
    std::optional<uint64_t> taken_; // and not yet carried
    std::unique_ptr<ChainDisk> chain_disk_;
};

} // namespace tlc::test
