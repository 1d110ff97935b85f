// SPDX-License-Identifier: GPL-2.0-or-later
// JobDirectory is one job's directory of checkpoints: <root>/<cluster>-<job id>, mode 0700 and the caller's
// own; anything else is refused, it holds the job's memory. docs/checkpoint-lifecycle.md has the ordering
// rules. Several processes may use one directory: sequences and epochs are claimed with mkdir, a checkpoint
// exists from the rename of its manifest on. A JobDirectory is only a path, so it is copied freely and
// thread-safe.
#pragma once

#include <tlc/base/result.hpp>
#include <tlc/catalog/manifest.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace tlc {

// A published checkpoint. A damaged one is listed with its error and without a manifest it can be trusted by.
struct Checkpoint {
    uint64_t sequence = 0;
    std::filesystem::path directory;
    std::optional<Manifest> manifest; // nothing: the manifest itself is damaged
    std::optional<Error> error;       // why it cannot be used
    bool whole() const { return manifest && !error; }
};

// A sequence claimed for a checkpoint that is being taken; its directory is empty.
struct ClaimedCheckpoint {
    uint64_t sequence = 0;
    std::filesystem::path directory;
};

class JobDirectory {
  public:
    // How disk parts and live disks are removed: Disk::remove. Nothing there must be success.
    using Remover = std::function<Status(const std::filesystem::path&)>;

    // Creates the directory (and the root) or opens it if it is there.
    static Result<JobDirectory> create(const std::filesystem::path& root, std::string_view cluster,
                                       std::string_view job_id);
    // ErrorKind::no_checkpoint if there is none.
    static Result<JobDirectory> open(const std::filesystem::path& path);
    // The directory a checkpoint's directory belongs to.
    static Result<JobDirectory> of_checkpoint(const std::filesystem::path& checkpoint_directory);

    const std::filesystem::path& path() const { return path_; }
    std::filesystem::path job_file() const { return path_ / "job.json"; }
    std::filesystem::path platform_file() const { return path_ / "platform.json"; } // see tlc/vm/domain.hpp
    std::filesystem::path log_file() const { return path_ / "tlc.log"; }
    std::filesystem::path live_directory(uint64_t epoch) const;
    std::filesystem::path checkpoint_directory(uint64_t sequence) const;

    // Takes the next epoch; from then on older epochs cannot publish.
    Result<uint64_t> claim_epoch() const;
    // 0 if none was claimed.
    Result<uint64_t> newest_epoch() const;
    // Notes that nothing of that epoch's run computes any more; and whether that was noted.
    Status close_epoch(uint64_t epoch) const;
    Result<bool> epoch_closed(uint64_t epoch) const;
    // Notes that the job was held at the start of that epoch, for lack of progress; and the newest for which
    // that was noted, 0: none.
    Status hold_epoch(uint64_t epoch) const;
    Result<uint64_t> newest_held_epoch() const;

    // Claims the next sequence, `least` or more, which nobody has had before and nobody will have again, and
    // makes its directory, mode 0700.
    Result<ClaimedCheckpoint> claim_checkpoint(uint64_t least = 1) const;
    // The directory of a sequence that was claimed in another directory of the job. ErrorKind::busy if it is
    // there.
    Result<ClaimedCheckpoint> claim_checkpoint_as(uint64_t sequence) const;
    // The highest that was claimed; 0: none.
    Result<uint64_t> newest_sequence() const;
    // ErrorKind::busy if a newer epoch owns the job.
    Status fence(uint64_t epoch) const;
    // Makes the checkpoint exist. Every part must be durable before the call. `owner`: the epoch of the run
    // that publishes, 0: the manifest's, which took it. ErrorKind::busy if a newer epoch owns the job, or if
    // the sequence is published already.
    Status publish(const Manifest& manifest, uint64_t owner = 0) const;

    // All published checkpoints, newest first: by epoch, then by sequence; those without a readable manifest
    // where their sequence puts them. The parts' sizes are checked.
    Result<std::vector<Checkpoint>> list() const;
    // The newest whole one. ErrorKind::no_checkpoint if there is none, saying what is wrong with those there
    // are.
    Result<Checkpoint> newest() const;

    // Removes a checkpoint, published or not: manifest, then disk, then image. Nothing there is success.
    Status remove(uint64_t sequence, const Remover& remove_disk) const;
    // Removes all checkpoints older than the `keep`-th newest whole one (keep 0 counts as 1), but with keep 2
    // or more for the newest whole one that shares no memory file with the newest of all. Returns how many.
    Result<size_t> prune(size_t keep, const Remover& remove_disk) const;
    // Those that prune() would remove. Directories of checkpoints that are known to be damaged inside, which
    // their sizes do not tell, are given in `damaged`: they do not count as whole.
    Result<std::vector<Checkpoint>> prunable(size_t keep,
                                             const std::set<std::filesystem::path>& damaged = {}) const;
    // Removes the directory with all it holds; the job is over.
    Status remove_all(const Remover& remove_disk) const;
    // Removes what a dead run left: directories without a manifest, temporary files, live disks of older
    // epochs. What cannot be removed stays, and is told when the rest is gone. For the owner of `epoch` while
    // it takes no checkpoint; ErrorKind::busy if a newer epoch owns the job.
    Status sweep(uint64_t epoch, const Remover& remove_disk) const;

  private:
    Status sweep_checkpoint(uint64_t sequence, const Remover& remove_disk) const;
    Status note(uint64_t epoch, const char* what) const;
    Result<bool> noted(uint64_t epoch, const char* what) const;

    explicit JobDirectory(std::filesystem::path path) : path_(std::move(path)) {}
    std::filesystem::path path_;
};

// The job directories under `root` that can be opened, sorted by name. A root that does not exist holds none.
Result<std::vector<JobDirectory>> list_job_directories(const std::filesystem::path& root);

} // namespace tlc
