// SPDX-License-Identifier: GPL-2.0-or-later
// Any bytes as what the host gives to the guest's agent: commands, the job's description, a list of modules.
#include <guest/commands.hpp>
#include <guest/job.hpp>
#include <guest/module_list.hpp>

#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const auto text = tlc::fuzz::text(data, size);
    tlc::guest::CommandReader reader;
    for (const auto& command : reader.feed(text))
        tlc::fuzz::require(command.number >= 1 && command.number <= 64, "a signal has a signal's number");
    if (const auto job = tlc::guest::parse_job(text))
        tlc::fuzz::require(!job->argv.empty() && job->cwd.front() == '/', "a job has a program and a place");
    for (const auto& path : tlc::guest::parse_module_list(text))
        tlc::fuzz::require(!path.empty(), "a module has a name");
    return 0;
}
