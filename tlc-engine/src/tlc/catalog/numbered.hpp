// SPDX-License-Identifier: GPL-2.0-or-later
// Directory entries that are numbers, and the order of checkpoints; for this folder's .cpp files only.
#pragma once

#include <tlc/base/result.hpp>
#include <tlc/catalog/job_directory.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>
#include <vector>

namespace tlc {

// The number in "<prefix><digits>".
std::optional<uint64_t> number_of(std::string_view name, std::string_view prefix = {});
// Those of a directory, sorted. A directory that does not exist has none.
Result<std::vector<uint64_t>> numbered_entries(const std::filesystem::path& directory,
                                               std::string_view prefix = {});
// By epoch, then by sequence; one without a readable manifest counts to the epoch of the sequence before it.
void sort_newest_first(std::vector<Checkpoint>& checkpoints_by_sequence);

} // namespace tlc
