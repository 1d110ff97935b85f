// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/request/resolve.hpp>
#include <tlc/request/validate.hpp>

namespace tlc {
namespace {

struct Source {
    std::string name; // "--vm-image" or "TLC_VM_IMAGE"
    std::string text;
};

std::optional<Source> find(const OptionSpec& option, const GivenOptions& options,
                           const Environment& environment) {
    if (const auto given = options.find(option.name); given != options.end())
        return Source{fmt::format("--{}", option.name), given->second};
    auto twin = environment(option.environment);
    if (!twin || twin->empty()) return std::nullopt;
    return Source{option.environment, std::move(*twin)};
}

std::vector<std::string> others(const GivenOptions& options) {
    std::vector<std::string> names;
    for (const auto& option : option_table())
        if (&option != &option_table().front() && options.contains(option.name))
            names.push_back(fmt::format("--{}", option.name));
    return names;
}

} // namespace

Result<Resolution> resolve(const GivenOptions& options, const Environment& environment) {
    Resolution result;
    const auto& table = option_table();
    const auto interval = find(table.front(), options, environment);
    if (!interval) {
        const auto names = others(options);
        if (!names.empty())
            return fail(ErrorKind::usage,
                        "{} without --vm-checkpoint; write --vm-checkpoint=10m as well, or leave {} out",
                        fmt::join(names, ", "), names.size() == 1 ? "it" : "them");
        return result;
    }
    TLC_TRY(parse_option(table.front(), interval->name, interval->text, result.request));
    if (!result.request.active()) {
        result.ignored = others(options);
        return result;
    }
    for (size_t i = 1; i < table.size(); ++i)
        if (const auto source = find(table[i], options, environment))
            TLC_TRY(parse_option(table[i], source->name, source->text, result.request));
    TLC_TRY(check_request(result.request));
    return result;
}

} // namespace tlc
