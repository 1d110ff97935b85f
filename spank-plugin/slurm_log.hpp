// SPDX-License-Identifier: GPL-2.0-or-later
// Messages through Slurm: the terminal in sbatch, the job's output and slurmd's log on the node.
#pragma once

#include <string>

namespace tlc::spank {

void log_error(const std::string& text);
void log_info(const std::string& text);

} // namespace tlc::spank
