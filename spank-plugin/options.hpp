// SPDX-License-Identifier: GPL-2.0-or-later
// The table of options as Slurm wants it, and what the user gave. Single-threaded, as SPANK hooks are.
#pragma once

#include <tlc/request/resolve.hpp>

#include <string>
#include <vector>

#include "spank.hpp"

namespace tlc::spank {

// To be called from slurm_spank_init only. Slurm may report an option twice (environment, then command line):
// the last one wins. A wrong value is refused in sbatch at once; on the node it is kept for the resolution.
void register_options(spank_t spank);

const GivenOptions& given_options();

// Slurm takes its variables (below) for options. In a job they are those of that job, which a job that is
// submitted from there does not share. To be called before Slurm reads them.
void forget_inherited_options();

// The names under which Slurm itself carries the options in a job's environment.
std::vector<std::string> option_variables();

} // namespace tlc::spank
