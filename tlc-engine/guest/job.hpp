// SPDX-License-Identifier: GPL-2.0-or-later
// What the guest is to run, as the host wrote it into /job/job.json. Pure functions.
#pragma once

#include <tlc/base/result.hpp>

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

namespace tlc::guest {

struct Job {
    std::vector<std::string> argv;
    std::vector<std::string> environment; // "NAME=value", handed over as it is
    std::string cwd;
    uid_t uid = 0;
    gid_t gid = 0;
    std::vector<gid_t> groups;
    std::string user, group, home, hostname;
    bool merge_output = false; // stderr goes where stdout goes, in the order written
    bool tmp_on_work = false;  // /tmp lies on the work disk
    mode_t umask = 022;        // optional in the file
};

// Every value is checked: types, no NUL, names usable in /etc/passwd, a working directory that can be one.
Result<Job> parse_job(std::string_view text);

// Whether the work disk may be mounted at `cwd`; the error says why not.
Status check_cwd(const std::string& cwd);

} // namespace tlc::guest
