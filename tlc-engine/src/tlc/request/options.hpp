// SPDX-License-Identifier: GPL-2.0-or-later
// The table of the --vm-* options: names, help, environment twins and how each value is read.
// It lives as long as the program; everything here is thread-safe.
#pragma once

#include <tlc/request/request.hpp>

#include <chrono>
#include <string_view>
#include <vector>

namespace tlc {

inline constexpr std::chrono::seconds shortest_interval{5};
inline constexpr uint64_t smallest_buffer = uint64_t{64} << 20;
inline constexpr uint64_t smallest_memory = uint64_t{128} << 20;
inline constexpr unsigned fewest_kept = 2;
inline constexpr unsigned most_kept = 1000;

struct OptionSpec {
    const char* name;        // without the dashes, "vm-checkpoint"
    const char* argument;    // placeholder in the help, "time|auto|off"
    const char* help;        // one line
    const char* environment; // the twin, "TLC_VM_CHECKPOINT"
    Status (*parse)(std::string_view text, JobRequest& request);
    bool argument_optional = false; // without one the text is empty
};

// The first entry is the switch, --vm-checkpoint; the others only mean something together with it.
const std::vector<OptionSpec>& option_table();

// Reads one value; the error begins with `source`, the name under which the user gave it ("--vm-image").
Status parse_option(const OptionSpec& option, std::string_view source, std::string_view text,
                    JobRequest& request);

// The options, "--vm-memory=512M", of which an active request was made, for another submission.
// JobRequest::requeues is sbatch's own.
std::vector<std::string> to_options(const JobRequest& request);

} // namespace tlc
