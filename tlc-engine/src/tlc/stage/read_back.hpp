// SPDX-License-Identifier: GPL-2.0-or-later
// After the job: what it wrote on its work disk comes back into the working directory.
#pragma once

#include <tlc/base/result.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace tlc {

struct ReadBackRequest {
    std::filesystem::path image; // no virtual machine may have it open
    std::filesystem::path cwd;
    std::vector<std::string> stage_out; // relative to cwd; empty: everything
    std::vector<std::string> exclude;   // relative to cwd: files written live, as the job's own output
    // Relative to cwd: what was staged in by name. With it, directories are written through a symbolic link
    // of cwd only where this list or stage_out names the link, since the image may be a stranger's.
    std::optional<std::vector<std::string>> staged_in = std::nullopt;
};

struct ReadBackSummary {
    uint64_t files = 0;     // written, links included
    uint64_t bytes = 0;     // of those files
    uint64_t unchanged = 0; // as they were staged, so left alone
    // What could not be brought back, with the reason, one line each. The image still holds it.
    std::vector<std::string> problems;
};

// A file the job made or changed replaces the host's by rename; mode and modification time are kept. Files
// the job left alone are not written, and no host file is ever deleted. What is not a problem is durable. An
// image whose guest died is repaired in a copy. An error means that nothing could be read; single files that
// fail are `problems`. Not thread-safe in one cwd.
Result<ReadBackSummary> read_back(const ReadBackRequest& request);

} // namespace tlc
