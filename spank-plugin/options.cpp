// SPDX-License-Identifier: GPL-2.0-or-later
#include "options.hpp"

#include <algorithm>
#include <cstdlib>
#include <exception>

#include "slurm_log.hpp"

namespace tlc::spank {
namespace {

GivenOptions& given() {
    static GivenOptions options;
    return options;
}

int option_given(int index, const char* value, int remote) noexcept {
    try {
        const auto& option = option_table().at(static_cast<size_t>(index));
        const std::string text = value == nullptr ? "" : value;
        JobRequest scratch;
        if (const auto parsed = parse_option(option, fmt::format("--{}", option.name), text, scratch);
            !parsed && remote == 0) {
            log_error(parsed.error().message);
            return -1;
        }
        given()[option.name] = text;
        return 0;
    } catch (const std::exception& problem) {
        slurm_error("tlc: option %d: %s", index, problem.what());
        return remote == 0 ? -1 : 0;
    }
}

} // namespace

void register_options(spank_t spank) {
    int index = 0;
    for (const auto& option : option_table()) {
        // Slurm copies the strings; its struct merely has no const.
        spank_option slurm_option{const_cast<char*>(option.name),
                                  const_cast<char*>(option.argument),
                                  const_cast<char*>(option.help),
                                  option.argument_optional ? 2 : 1,
                                  index++,
                                  option_given};
        if (spank_option_register(spank, &slurm_option) != ESPANK_SUCCESS)
            log_error(fmt::format("cannot register --{} (is the plugin listed twice in plugstack.conf?)",
                                  option.name));
    }
}

const GivenOptions& given_options() { return given(); }

void forget_inherited_options() {
    if (::getenv("SLURM_JOB_ID") == nullptr) return;
    for (const auto& name : option_variables())
        ::unsetenv(name.c_str());
}

std::vector<std::string> option_variables() {
    std::vector<std::string> names;
    for (const auto& option : option_table()) {
        std::string name = fmt::format("_SLURM_SPANK_OPTION_tlc_{}", option.name);
        std::replace(name.begin(), name.end(), '-', '_');
        names.push_back("SLURM_SPANK_" + name);
        names.push_back(std::move(name));
    }
    return names;
}

} // namespace tlc::spank
