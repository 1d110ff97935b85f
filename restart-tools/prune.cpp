// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/units.hpp>
#include <tlc/disk/disk.hpp>
#include <tlc/supervisor/job_file.hpp>

#include <nlohmann/json.hpp>
#include <sys/stat.h>

#include <map>

#include "commands.hpp"

namespace tlc {
namespace {

namespace fs = std::filesystem;

// What removing checkpoints frees: files whose last link goes. What a disk's snapshot frees nobody can say
// beforehand; it is not in the sum.
class FreedSpace {
  public:
    void add(const Checkpoint& checkpoint) {
        std::error_code error;
        for (fs::directory_iterator at(checkpoint.directory, error), end; !error && at != end;
             at.increment(error)) {
            struct stat info {};
            if (::lstat(at->path().c_str(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
            auto& file = files_[{info.st_dev, info.st_ino}];
            file.left = file.seen ? file.left - 1 : info.st_nlink - 1;
            file.seen = true;
            file.bytes = static_cast<uint64_t>(info.st_blocks) * 512;
        }
    }
    uint64_t bytes() const {
        uint64_t sum = 0;
        for (const auto& [id, file] : files_)
            if (file.left == 0) sum += file.bytes;
        return sum;
    }

  private:
    struct File {
        bool seen = false;
        uint64_t left = 0; // links elsewhere
        uint64_t bytes = 0;
    };
    std::map<std::pair<dev_t, ino_t>, File> files_;
};

// Of a job that has ended all may go; of any other what is beyond the number kept.
Result<std::vector<Checkpoint>> superfluous(const JobDirectory& job, const PruneOptions& options) {
    if (options.ended) {
        if (!read_job_result(job.path())) return std::vector<Checkpoint>{};
        return job.list();
    }
    size_t keep = options.keep.value_or(0);
    if (keep == 0) {
        const auto file = read_job_file(job.path());
        keep = file && file->request.keep != 0 ? file->request.keep : 2;
    }
    return job.prunable(keep);
}

} // namespace

Status prune_jobs(const std::vector<JobDirectory>& jobs, const PruneOptions& options) {
    auto rows = nlohmann::json::array();
    FreedSpace freed;
    size_t count = 0;
    if (!options.json) fmt::print("{:<24} {:>6}  {:<20} {:>10}  {}\n", "JOB", "NUMBER", "TAKEN", "SIZE", "");
    for (const auto& job : jobs) {
        TLC_TRY_ASSIGN(checkpoints, superfluous(job, options));
        if (checkpoints.empty()) continue;
        // Oldest first: an interruption leaves what is newest.
        for (auto checkpoint = checkpoints.rbegin(); checkpoint != checkpoints.rend(); ++checkpoint) {
            freed.add(*checkpoint);
            ++count;
            const auto& manifest = checkpoint->manifest;
            if (options.json)
                rows.push_back({{"job", job.path().filename().string()},
                                {"sequence", checkpoint->sequence},
                                {"removed", options.yes}});
            else
                fmt::print("{:<24} {:>6}  {:<20} {:>10}  {}\n", job.path().filename().string(),
                           checkpoint->sequence, manifest ? manifest->created : "-",
                           manifest ? size_text(manifest->memory.size) : "-",
                           options.yes ? "removed" : "would be removed");
            if (!options.yes) continue;
            TLC_TRY(job.remove(checkpoint->sequence, remove_disk));
        }
    }
    if (options.json)
        fmt::print("{}\n",
                   nlohmann::json({{"checkpoints", rows}, {"bytes", freed.bytes()}, {"removed", options.yes}})
                       .dump(2));
    else
        fmt::print("{} checkpoints, {} besides their disks{}\n", count, size_text(freed.bytes()),
                   options.yes || count == 0 ? "" : "; nothing was removed: add --yes");
    return {};
}

} // namespace tlc
