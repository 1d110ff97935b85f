// SPDX-License-Identifier: GPL-2.0-or-later
// From what was written on the command line and in the environment to one JobRequest. Pure functions.
#pragma once

#include <tlc/request/options.hpp>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace tlc {

// The options as the user gave them, by name without the dashes; the last of a repeated option.
using GivenOptions = std::map<std::string, std::string, std::less<>>;
// The value of an environment variable, or nothing.
using Environment = std::function<std::optional<std::string>(const char* name)>;

struct Resolution {
    JobRequest request;               // not active(): an ordinary job
    std::vector<std::string> ignored; // options without effect because of --vm-checkpoint=off
};

// An option beats its environment twin; an empty twin counts as not given. Twins without a checkpoint
// interval are not even looked at (they may sit in a profile), but options without one are an error that
// names them.
Result<Resolution> resolve(const GivenOptions& options, const Environment& environment);

} // namespace tlc
