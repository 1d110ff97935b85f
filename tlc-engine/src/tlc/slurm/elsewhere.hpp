// SPDX-License-Identifier: GPL-2.0-or-later
// A job that shall go on, but not on this node. Thread-safe.
#pragma once

#include <tlc/base/result.hpp>

#include <chrono>
#include <string>
#include <string_view>

namespace tlc {

// Requeues the job, which must run on `node`, and has Slurm exclude the node for it, beside those that are
// excluded already. Where that leaves no node for the job Slurm lets it wait (BadConstraints). If Slurm does
// not exclude the node the job is held. `id` and `name`: the job's number, and what scontrol is told. On an
// error the job is not requeued.
Status requeue_elsewhere(const std::string& id, const std::string& name, const std::string& node,
                         std::chrono::seconds patience);

// The list of nodes with one more. `lines`: what `squeue --format=%A|%x` prints.
std::string excluded_with(std::string_view lines, std::string_view id, std::string_view node);

} // namespace tlc
