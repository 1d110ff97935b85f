// SPDX-License-Identifier: GPL-2.0-or-later
#include "save_request.hpp"

#include <nlohmann/json.hpp>

namespace tlc {

Result<SaveRequest> parse_save_request(std::string_view line) {
    const auto object = nlohmann::json::parse(line, nullptr, false);
    if (!object.is_object()) return fail(ErrorKind::usage, "a request is one JSON object a line");
    SaveRequest request;
    for (const auto& [key, value] : object.items()) {
        if (!value.is_string()) return fail(ErrorKind::usage, "\"{}\" of a request has to be a text", key);
        const auto path = value.get<std::string>();
        if (key == "out")
            request.out = path;
        else if (key == "live")
            request.live = path;
        else if (key == "disk")
            request.disk = path;
        else
            return fail(ErrorKind::usage, "unknown key \"{}\" of a request (known: out, live, disk)", key);
    }
    if (request.out.empty()) return fail(ErrorKind::usage, "a request needs \"out\", a directory");
    return request;
}

} // namespace tlc
