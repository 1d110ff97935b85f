// SPDX-License-Identifier: GPL-2.0-or-later
// Checks of a whole JobRequest. All but check_files, which looks at the file system as the caller's user, are
// pure. Every error says what to write or do instead.
#pragma once

#include <tlc/request/request.hpp>

#include <cstdint>
#include <filesystem>
#include <string_view>

namespace tlc {

// A checkpoint directory with less free space than this is refused at submit.
inline constexpr uint64_t least_free_space = uint64_t{64} << 20;

// Options that do not fit together.
Status check_request(const JobRequest& request);

// The VM's memory and the buffer, as far as they were given, against the job's memory (in bytes; 0:
// unlimited).
Status check_memory(const JobRequest& request, uint64_t job_memory_bytes);

// A job in a VM runs on one node and has one component.
Status check_nodes(uint64_t nodes, uint64_t het_components = 1);
// The same before the job has its nodes, from the value of --nodes: "2", "1-2".
Status check_nodes_option(std::string_view nodes);

// Makes image and checkpoint directory absolute, seen from the submit directory.
void resolve_paths(JobRequest& request, const std::filesystem::path& submit_directory);

// What a job needs to begin: that the image can be read, that the checkpoint directory can be written and has
// space, and that the files to stage are there. Its paths are resolved.
Status check_files(const JobRequest& request, const std::filesystem::path& submit_directory);

} // namespace tlc
