// SPDX-License-Identifier: GPL-2.0-or-later
// From a Job to its end: everything that is checked and opened once before the supervisor's loop: sizes,
// accelerator, the job's directory, its log, the private directory for sockets.
#pragma once

#include <tlc/config/config.hpp>
#include <tlc/supervisor/supervisor.hpp>

namespace tlc {

// Runs the job in the calling process. Errors say what to do; those that leave something to continue from say
// with which command. Once at a time in a process, before it has other threads: it blocks signals and sets
// the log's sink.
Result<JobEnd> run_job(Job job, const SiteConfig& config);

} // namespace tlc
