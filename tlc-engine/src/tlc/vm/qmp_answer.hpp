// SPDX-License-Identifier: GPL-2.0-or-later
// What QEMU's monitor says, as values. Pure functions: any bytes are taken, and what is not understood is an
// Error.
#pragma once

#include <tlc/base/result.hpp>

#include <nlohmann/json.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace tlc {

// One line: a JSON object.
Result<nlohmann::json> parse_qmp_line(std::string_view line);

// "10.0.13", from the greeting.
Result<std::string> qemu_version_in(const nlohmann::json& greeting);

// The "return" value, which is taken out of the object, or an Error with QEMU's own text. Nothing for what is
// no answer: an event.
std::optional<Result<nlohmann::json>> qmp_answer(nlohmann::json& object, std::string_view command);

// What query-status returns.
struct VmStatus {
    bool running = true;
    bool io_error = false; // stopped by QEMU: a disk cannot be read or written
};
VmStatus vm_status_in(const nlohmann::json& returned);

// Whether what query-block returns has a disk that failed for another reason than lack of space.
bool io_failed_in(const nlohmann::json& returned);

} // namespace tlc
