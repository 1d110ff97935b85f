// SPDX-License-Identifier: GPL-2.0-or-later
#include <guest/module_list.hpp>

#include <sstream>

namespace tlc::guest {

std::vector<std::string> parse_module_list(std::string_view text) {
    std::vector<std::string> paths;
    std::istringstream lines{std::string(text)};
    for (std::string line; std::getline(lines, line);) {
        const auto end = line.find_last_not_of(" \t\r");
        if (end == std::string::npos || line[0] == '#') continue;
        paths.push_back(line.substr(0, end + 1));
    }
    return paths;
}

} // namespace tlc::guest
