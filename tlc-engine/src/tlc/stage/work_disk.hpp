// SPDX-License-Identifier: GPL-2.0-or-later
// The job's work disk: an ext4 image whose root directory is the job's working directory, filled without root
// and without a mount. Thread-safe for different images.
#pragma once

#include <tlc/base/result.hpp>

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace tlc {

struct WorkDiskRequest {
    std::filesystem::path image; // must not exist
    uint64_t size = 0;           // of the disk, bytes; the file is sparse
    std::filesystem::path cwd;
    std::vector<std::string> stage_in; // relative to cwd; empty: all of it
    std::vector<std::string> exclude;  // relative to cwd: the job's own output file, a checkpoint directory
    uint64_t limit = 0;                // bytes of files
    uid_t uid = 0;                     // everything on the disk belongs to this user and group
    gid_t gid = 0;
};

struct StageSummary {
    uint64_t files = 0;
    uint64_t bytes = 0;
    std::vector<std::string> skipped; // neither file, directory nor link
};

// Copies each file once, straight into the image; modes, modification times and links are kept, access
// control lists and hard links are not. On failure the image is removed.
Result<StageSummary> make_work_disk(const WorkDiskRequest& request);

} // namespace tlc
