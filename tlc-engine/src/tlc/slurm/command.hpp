// SPDX-License-Identifier: GPL-2.0-or-later
// Slurm's own commands, run with an environment in which nothing changes what they print.
#pragma once

#include <tlc/base/process.hpp>
#include <tlc/base/result.hpp>

#include <chrono>
#include <string>
#include <vector>

namespace tlc {

// What the command printed on stdout; times are seconds since 1970. An Error if it cannot be started, ends
// with another code than 0 (with what it said) or takes longer than `patience`. Thread-safe.
Result<std::string> run_slurm(const std::vector<std::string>& argv, std::chrono::seconds patience);

} // namespace tlc
