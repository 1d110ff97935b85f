// SPDX-License-Identifier: GPL-2.0-or-later
// The last moments of a job, in which Slurm may decide to start it again: it preempts it, say, while the
// job's files are copied back. That start must find that there is nothing left to compute, and the job's
// output, which Slurm has truncated.
#pragma once

#include <tlc/base/result.hpp>
#include <tlc/catalog/job_directory.hpp>
#include <tlc/supervisor/job.hpp>
#include <tlc/supervisor/job_file.hpp>

#include <filesystem>
#include <optional>

namespace tlc {

// Effect: `directory` says that the job has ended so, and keeps a copy of what it has printed (`live`: its
// disk), if there is room for one. What the job does not need any more may be removed from now on.
Status begin_ending(const JobDirectory& directory, const std::filesystem::path& live,
                    const JobResult& result);
// Nothing is left to be removed, and if Slurm has not decided meanwhile to start the job again, it is over.
Status complete_ending(const Job& job, const JobDirectory& directory, const JobResult& result);

// The end that an earlier start of this very job has come to in the directory at `path`, if Slurm had decided
// before that to start it again. One that is requeued afterwards shall run again. Effect: the output is
// whole, and of a job that ended well no checkpoints are left.
std::optional<JobEnd> end_of_earlier_start(const Job& job, const std::filesystem::path& path);

} // namespace tlc
