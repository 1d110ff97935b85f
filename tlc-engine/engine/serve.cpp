// SPDX-License-Identifier: GPL-2.0-or-later
#include "serve.hpp"

#include <tlc/base/log.hpp>

#include <iostream>

#include "report.hpp"

namespace tlc {
namespace {

Result<SaveRequest> parse_request(const std::string& line) {
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

nlohmann::json answer(Saver& saver, const std::string& line) {
    const auto request = parse_request(line);
    if (!request) return error_as_json(request.error());
    const auto report = saver.save(*request);
    return report ? as_json(*report) : error_as_json(report.error());
}

} // namespace

int serve(SaverOptions options) {
    options.watch = true;
    Saver saver(std::move(options));
    if (auto ready = saver.prepare(); !ready) log::warning("{}", ready.error().message);
    for (std::string line; std::getline(std::cin, line);) {
        fmt::print("{}\n", as_line(answer(saver, line)));
        std::fflush(stdout);
    }
    return 0;
}

} // namespace tlc
