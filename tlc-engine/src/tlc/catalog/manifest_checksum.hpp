// SPDX-License-Identifier: GPL-2.0-or-later
// The checksum a manifest carries of itself; for this folder's .cpp files only.
#pragma once

#include <tlc/base/result.hpp>

#include <nlohmann/json.hpp>

#include <string>

namespace tlc {

// XXH3-128 as 32 hex digits over the compact JSON text (keys sorted) of everything but "checksum".
Result<std::string> manifest_checksum(nlohmann::json object);

} // namespace tlc
