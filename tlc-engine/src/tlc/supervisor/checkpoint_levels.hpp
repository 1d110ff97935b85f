// SPDX-License-Identifier: GPL-2.0-or-later
// Where the checkpoints of a job are: in its directory; or, with a directory of the node's own, on two
// levels. Then they are taken on the node and carried to the job's directory, which survives it, by an engine
// process in the background; the newest one, whatever came in between. Both levels number them alike. Not
// thread-safe.
#pragma once

#include <tlc/catalog/job_directory.hpp>
#include <tlc/supervisor/engine_process.hpp>
#include <tlc/supervisor/incarnation.hpp>

#include <chrono>
#include <map>
#include <optional>
#include <vector>

namespace tlc {

class CheckpointLevels {
  public:
    using Seconds = std::chrono::duration<double>;

    explicit CheckpointLevels(const JobSite& site) : site_(site) {}

    // A new life begins, whose epoch this is. Effect: what earlier ones have left half done is removed, and
    // their newest checkpoint, if only the node has it, is carried. On failure some of it stays.
    Status begin_epoch(uint64_t epoch);

    // The next number, on both levels.
    Result<ClaimedCheckpoint> claim() const;
    // All there are, newest first; of one that is on both levels the node's own copy comes first.
    Result<std::vector<Checkpoint>> all() const;
    // ErrorKind::busy if a newer copy of the job, which may use the number, has begun.
    Status discard(uint64_t sequence) const;
    // Removes what need not be kept where new ones are taken; returns how many.
    Result<size_t> prune() const { return prune(site_.store); }

    // What was found damaged, by directory. It counts for nothing when others are pruned.
    void is_damaged(const std::filesystem::path& directory, Error error) {
        damaged_[directory] = std::move(error);
    }
    // Nothing: not known to be.
    const Error* damage_of(const std::filesystem::path& directory) const;

    // It is the newest now. What was to be carried before it need not be any more.
    void carry(uint64_t sequence);
    bool carries() const { return carrier_.has_value(); }
    // To be called while carries(): how long a checkpoint took that has arrived since the last call. A
    // failure to carry one is logged and told once; an Error (busy): a newer copy of the job has begun.
    Result<std::optional<Seconds>> follow();
    // The job is over: halves are of no use to anybody.
    void stop_carrying();

  private:
    Result<size_t> prune(const JobDirectory& from) const;
    void carry_next();
    void give_up(uint64_t sequence) const;
    void not_carried(uint64_t sequence, const Error& error);

    const JobSite& site_;
    uint64_t epoch_ = 0;                             // this life's; what is carried may be of an earlier one
    std::map<std::filesystem::path, Error> damaged_; // by directory
    std::optional<EngineProcess> carrier_;           // carries `carrying_`
    std::optional<uint64_t> carrying_;
    std::optional<uint64_t> next_;
    bool told_of_no_space_ = false; // once in a row of failures
};

} // namespace tlc
