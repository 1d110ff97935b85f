// SPDX-License-Identifier: GPL-2.0-or-later
// sbatch's own options, wherever the user has given them: command line, #SBATCH lines, environment. SPANK
// does not tell them; what job_submit's relative cli_filter asks is exported by Slurm's programs and library
// all the same.
#pragma once

#include <optional>
#include <string>

namespace tlc::spank {

// To be called when all options are read, from slurm_spank_init_post_opt. The value as Slurm prints it: "2"
// or "1-2" for "nodes", "no-requeue" for "requeue". Nothing where this Slurm does not tell it: the node
// checks again.
std::optional<std::string> sbatch_option(const char* name);

} // namespace tlc::spank
