// SPDX-License-Identifier: GPL-2.0-or-later
#include "slurm_log.hpp"

#include "spank.hpp"

namespace tlc::spank {

void log_error(const std::string& text) { slurm_error("tlc: %s", text.c_str()); }
void log_info(const std::string& text) { slurm_info("tlc: %s", text.c_str()); }

} // namespace tlc::spank
