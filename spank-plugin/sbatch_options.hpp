// SPDX-License-Identifier: GPL-2.0-or-later
// sbatch's own options, wherever the user has given them: command line, #SBATCH lines, environment. SPANK
// does not tell them, but what Slurm's cli_filter plugins ask is exported by sbatch and its library.
#pragma once

#include <optional>
#include <string>

namespace tlc::spank {

// To be called when all options are read, from slurm_spank_init_post_opt. The value as Slurm prints it: "2"
// or "1-2" for "nodes", "no-requeue" for "requeue". Nothing where this Slurm does not tell it: the node
// checks again.
std::optional<std::string> sbatch_option(const char* name);

} // namespace tlc::spank
