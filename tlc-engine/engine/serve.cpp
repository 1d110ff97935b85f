// SPDX-License-Identifier: GPL-2.0-or-later
#include "serve.hpp"

#include <tlc/base/log.hpp>

#include <iostream>

#include "report.hpp"
#include "save_request.hpp"

namespace tlc {
namespace {

nlohmann::json answer(Saver& saver, const std::string& line) {
    const auto request = parse_save_request(line);
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
