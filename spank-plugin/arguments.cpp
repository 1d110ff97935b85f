// SPDX-License-Identifier: GPL-2.0-or-later
#include "arguments.hpp"

#include <string_view>

namespace tlc::spank {
namespace {

Status read_argument(std::string_view argument, Arguments& to) {
    const auto equals = argument.find('=');
    const auto key = argument.substr(0, equals);
    if (argument == "devices=none") {
        to.open_devices = false;
        return {};
    }
    std::string* value = key == "launcher" ? &to.launcher : key == "config" ? &to.config : nullptr;
    if (value == nullptr || equals == std::string_view::npos)
        return fail(ErrorKind::usage,
                    "plugstack.conf: unknown argument \"{}\" (the administrator may write launcher=PATH, "
                    "config=PATH and devices=none)",
                    argument);
    const auto path = argument.substr(equals + 1);
    if (!path.starts_with('/'))
        return fail(ErrorKind::usage, "plugstack.conf: {}: \"{}\" is not an absolute path", key, path);
    *value = path;
    return {};
}

} // namespace

Arguments parse_arguments(int count, char** values) {
    Arguments arguments;
    for (int i = 0; i < count; ++i)
        if (auto status = read_argument(values[i], arguments); !status && arguments.status)
            arguments.status = std::move(status);
    return arguments;
}

} // namespace tlc::spank
