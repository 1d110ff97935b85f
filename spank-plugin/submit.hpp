// SPDX-License-Identifier: GPL-2.0-or-later
// The plugin's work inside sbatch.
#pragma once

#include <tlc/request/resolve.hpp>

#include "arguments.hpp"

namespace tlc::spank {

// Carries the checked request to the node. The prefix makes every form of --export keep it.
inline constexpr const char* request_variable = "SLURM_TLC_REQUEST";

// Resolves options and environment twins, checks everything that can be checked on this machine, and leaves
// the request in this process's environment, which becomes the job's. On an error nothing must be submitted.
// Slurm calls for it once for each component of a heterogeneous job.
Status submit(const Arguments& arguments, const GivenOptions& options);

} // namespace tlc::spank
