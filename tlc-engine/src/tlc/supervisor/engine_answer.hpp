// SPDX-License-Identifier: GPL-2.0-or-later
// A line that tlc-engine printed. Pure function; any bytes are taken.
#pragma once

#include <tlc/base/result.hpp>

#include <nlohmann/json.hpp>

#include <string_view>

namespace tlc {

// The object; or, when it is one of an error, an Error with its text and of its kind.
Result<nlohmann::json> parse_engine_answer(std::string_view line);

} // namespace tlc
