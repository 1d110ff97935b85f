// SPDX-License-Identifier: GPL-2.0-or-later
// What a user asks for with the --vm-* options of one job, and its text form, in which it travels from sbatch
// to the node and is kept beside the checkpoints. Plain data; the functions are pure.
#pragma once

#include <tlc/base/result.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tlc {

// Zero and empty mean "not given": the site's configuration decides then.
struct JobRequest {
    // Between checkpoints; 0: the job does not run in a VM, or the interval is `automatic`.
    std::chrono::seconds interval{};
    bool automatic = false;             // the interval is chosen while the job runs
    std::string image;                  // guest image, absolute path after submission
    std::string checkpoint_dir;         // absolute path after submission
    unsigned keep = 0;                  // checkpoints kept, at least 2 when given
    bool continues = false;             // past its time limit, by requeues
    bool requeues = false;              // wants to be requeued, as the user has not said otherwise
    uint64_t buffer_bytes = 0;          // memory for pages saved but not yet written
    uint64_t memory_bytes = 0;          // the VM's memory
    std::vector<std::string> stage_in;  // relative to the submit directory; see stages_nothing()
    std::vector<std::string> stage_out; // likewise

    bool active() const { return automatic || interval.count() > 0; }
    bool operator==(const JobRequest&) const = default;
};

// True for the list that "none" makes: the user wants no file staged (an empty list is "not given").
bool stages_nothing(const std::vector<std::string>& list);

// Lines "key=value" in a fixed order, only what is given; values are percent-escaped, lists separated by
// commas.
std::string to_text(const JobRequest& request);

// The value of --vm-checkpoint that asks for this: "auto", "90s", "off".
std::string interval_text(const JobRequest& request);

// The inverse. Unknown or repeated keys and malformed values are errors that name the line.
Result<JobRequest> from_text(std::string_view text);

} // namespace tlc
