// SPDX-License-Identifier: GPL-2.0-or-later
// The job's first process: its own session, the job's ids, environment, directory and output pipes.
#pragma once

#include <tlc/base/fd.hpp>

#include <guest/job.hpp>

#include <string>

namespace tlc::guest {

// The read ends are non-blocking and the pipes belong to the job's user, so that /dev/stdout can be opened
// again. With merged output `err` is not valid.
struct StartedJob {
    pid_t pid = 0;
    Fd out, err;
};

// Returns when the program runs; the error says what could not be done for it.
Result<StartedJob> start_job(const Job& job, const std::string& program);

} // namespace tlc::guest
