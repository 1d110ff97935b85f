// SPDX-License-Identifier: GPL-2.0-or-later
// The node's own directory of a job, where checkpoints are taken before they are carried to the job's
// directory. It is of use to this node only, and only as long as the job is not over.
// For one process a job at a time.
#pragma once

#include <tlc/catalog/job_directory.hpp>

namespace tlc {

// `directory` itself where local_dir is empty. Otherwise a directory of the same name below it, of this very
// job: what another job of the same name has left is removed, and so are those of jobs of the caller that are
// over or gone.
Result<JobDirectory> open_store(const JobDirectory& directory, const std::filesystem::path& local_dir);

// The job is over: removes the node's directory. Nothing happens where it is the job's own.
Status remove_store(const JobDirectory& directory, const JobDirectory& store);

} // namespace tlc
