// SPDX-License-Identifier: GPL-2.0-or-later
#include <guest/commands.hpp>
#include <nlohmann/json.hpp>

#include <optional>

namespace tlc::guest {
namespace {

std::optional<SignalCommand> parse(const std::string& line) {
    const auto object = nlohmann::json::parse(line, nullptr, false);
    if (!object.is_object()) return {};
    auto command = object.find("command");
    auto number = object.find("number");
    if (command == object.end() || *command != "signal") return {};
    if (number == object.end() || !number->is_number_integer() || *number < 1 || *number > 64) return {};
    auto to = object.find("to");
    return SignalCommand{number->get<int>(), to != object.end() && *to == "script"};
}

} // namespace

std::vector<SignalCommand> CommandReader::feed(std::string_view bytes) {
    std::vector<SignalCommand> commands;
    for (char byte : bytes) {
        if (byte != '\n') {
            if (line_.size() >= line_limit) too_long_ = true;
            if (!too_long_) line_ += byte;
            continue;
        }
        if (!too_long_)
            if (auto command = parse(line_)) commands.push_back(*command);
        reset();
    }
    return commands;
}

void CommandReader::reset() {
    line_.clear();
    too_long_ = false;
}

} // namespace tlc::guest
