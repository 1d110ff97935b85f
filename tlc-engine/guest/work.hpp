// SPDX-License-Identifier: GPL-2.0-or-later
// The work disk at the job's working directory, from mount to a clean end. Used by PID 1 only.
#pragma once

#include <guest/job.hpp>

#include <string>

namespace tlc::guest {

Status mount_work(const std::string& disk, const Job& job);

// With the job's processes gone: unmounts the work disk, makes the root disk read-only, both written out.
// What still holds a disk is overridden: its file system is then clean but for its journal.
void release_disks(const Job& job);

} // namespace tlc::guest
