// SPDX-License-Identifier: GPL-2.0-or-later
// Any text as a configuration file: refused with its name, or described so that it reads back the same.
#include <tlc/config/config.hpp>

#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const auto config = tlc::parse_config(tlc::fuzz::text(data, size), "tlc.toml");
    if (!config) {
        tlc::fuzz::require(config.error().message.find("tlc.toml:") != std::string::npos,
                           "an error names the file and the line");
        return 0;
    }
    const auto described = tlc::describe(*config);
    const auto again = tlc::parse_config(described, "tlc.toml");
    tlc::fuzz::require(again && tlc::describe(*again) == described, "what is described can be read");
    return 0;
}
