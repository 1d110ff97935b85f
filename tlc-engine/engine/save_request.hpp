// SPDX-License-Identifier: GPL-2.0-or-later
// A line of `serve`'s standard input. Pure function; any bytes are taken.
#pragma once

#include <tlc/checkpoint/saver.hpp>

#include <string_view>

namespace tlc {

// ErrorKind::usage for what is no request.
Result<SaveRequest> parse_save_request(std::string_view line);

} // namespace tlc
