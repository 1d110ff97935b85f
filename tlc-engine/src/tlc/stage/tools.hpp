// SPDX-License-Identifier: GPL-2.0-or-later
// Administration tools are rarely in an ordinary user's PATH.
#pragma once

#include <string>
#include <unistd.h>

namespace tlc {

inline std::string system_tool(const std::string& name) {
    for (const char* directory : {"/usr/sbin/", "/sbin/"})
        if (std::string path = directory + name; ::access(path.c_str(), X_OK) == 0) return path;
    return name;
}

} // namespace tlc
