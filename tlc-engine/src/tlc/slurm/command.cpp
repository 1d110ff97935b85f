// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/slurm/command.hpp>

#include <string_view>

extern char** environ;

namespace tlc {
namespace {

std::vector<std::string> plain_environment() {
    std::vector<std::string> out;
    for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::string_view text(*entry);
        // SQUEUE_STATES and the like are the user's wishes for what the user sees.
        const bool wish = text.starts_with("SQUEUE_") || text.starts_with("SCONTROL_") ||
                          text.starts_with("SLURM_CLUSTERS=") || text.starts_with("SLURM_TIME_FORMAT=") ||
                          text.starts_with("SLURM_BITSTR_LEN=") || text.starts_with("LC_") ||
                          text.starts_with("LANG");
        if (!wish) out.emplace_back(text);
    }
    out.emplace_back("SLURM_TIME_FORMAT=%s");
    out.emplace_back("LC_ALL=C.UTF-8");
    return out;
}

} // namespace

Result<std::string> run_slurm(const std::vector<std::string>& argv, std::chrono::seconds patience) {
    TLC_TRY_ASSIGN(output, run(argv, true, patience, plain_environment()));
    if (output.status.signalled || output.status.code != 0) {
        while (!output.text.empty() && output.text.back() == '\n')
            output.text.pop_back();
        return fail("{} ended with {}: {}", argv.front(), output.status.text(), output.text);
    }
    return std::move(output.text);
}

} // namespace tlc
