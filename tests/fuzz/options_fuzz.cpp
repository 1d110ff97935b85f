// SPDX-License-Identifier: GPL-2.0-or-later
// Any text as the value of each --vm-* option, and any lines as the values of all of them: refused, or a
// request that reaches the node as it was asked for.
#include <tlc/request/resolve.hpp>

#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view text = tlc::fuzz::text(data, size);
    const auto arrives = [](const tlc::JobRequest& request) {
        const auto there = tlc::from_text(tlc::to_text(request));
        tlc::fuzz::require(there && *there == request, "a request is the same after its way to the node");
    };
    if (text.find('\0') != std::string_view::npos) return 0; // arguments and variables have none
    for (const auto& option : tlc::option_table())
        if (tlc::JobRequest request; tlc::parse_option(option, option.name, text, request)) arrives(request);
    tlc::GivenOptions given;
    size_t number = 0;
    tlc::fuzz::each_line(text, [&](std::string_view line) {
        if (number < tlc::option_table().size()) given[tlc::option_table()[number++].name] = line;
    });
    const auto none = [](const char*) -> std::optional<std::string> { return std::nullopt; };
    if (const auto resolved = tlc::resolve(given, none)) arrives(resolved->request);
    return 0;
}
