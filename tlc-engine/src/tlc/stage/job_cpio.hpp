// SPDX-License-Identifier: GPL-2.0-or-later
// The job as the guest finds it: a newc cpio archive with /job/script and /job/job.json, appended to the
// initramfs. Thread-safe (no state).
#pragma once

#include <tlc/base/result.hpp>

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

namespace tlc {

struct JobDescription {
    std::vector<std::string> argv;        // argv[0] becomes the script's $0
    std::vector<std::string> environment; // "NAME=value"; any bytes but NUL
    std::string cwd;
    uid_t uid = 0;
    gid_t gid = 0;
    std::vector<gid_t> groups;
    std::string user, group, home, hostname;
    bool merge_output = false; // stderr goes to the port of stdout
    bool tmp_on_work = false;  // the guest's /tmp lies on the work disk
    mode_t umask = 022;
};

// job.json's text. Strings of argv and environment that are not UTF-8 are written as lists of byte values;
// elsewhere they are errors.
Result<std::string> job_json(const JobDescription& job);

// Replaces `path`. Its length is a multiple of 512, so archives may be concatenated with it as they are.
Status write_job_cpio(const std::filesystem::path& path, const JobDescription& job,
                      const std::filesystem::path& script);

} // namespace tlc
