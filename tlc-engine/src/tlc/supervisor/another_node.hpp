// SPDX-License-Identifier: GPL-2.0-or-later
// A job that was begun elsewhere and cannot go on here: this node lacks what it needs.
#pragma once

#include <tlc/base/result.hpp>
#include <tlc/supervisor/job.hpp>

#include <filesystem>

namespace tlc {

// Prerequisites: the job runs under Slurm, and nothing of this start of it was begun. Effect on success:
// Slurm starts the job on another node, or lets it wait where there is none, and the job's comment tells
// `why`. Returns what this copy ends with; if Slurm does not requeue the job, that says how to continue it.
// `directory`: the job's.
Error continue_on_another_node(const Job& job, const std::filesystem::path& directory, const Error& why);

} // namespace tlc
