// SPDX-License-Identifier: GPL-2.0-or-later
// What the engine prints, for programs and for people.
#pragma once

#include <tlc/checkpoint/carry.hpp>
#include <tlc/checkpoint/load.hpp>
#include <tlc/checkpoint/saver.hpp>

#include <nlohmann/json.hpp>

namespace tlc {

nlohmann::json as_json(const SaveReport& report);
nlohmann::json as_json(const LoadReport& report);
nlohmann::json as_json(const CarryReport& report);
nlohmann::json error_as_json(const Error& error);
// On one line, whatever bytes its texts have.
std::string as_line(const nlohmann::json& object);

void print_for_people(const SaveReport& report);
void print_for_people(const LoadReport& report);
void print_for_people(const CarryReport& report);

} // namespace tlc
