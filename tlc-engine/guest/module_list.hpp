// SPDX-License-Identifier: GPL-2.0-or-later
// /modules.list of the initramfs: one path a line, in the order to load. Pure function.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tlc::guest {

// Empty lines and lines that start with '#' are left out.
std::vector<std::string> parse_module_list(std::string_view text);

} // namespace tlc::guest
