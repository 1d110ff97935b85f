// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/supervisor/engine_answer.hpp>

namespace tlc {

Result<nlohmann::json> parse_engine_answer(std::string_view line) {
    auto answer = nlohmann::json::parse(line, nullptr, false);
    if (!answer.is_object()) return fail("the checkpoint engine printed something that is not an answer");
    if (!answer.contains("error")) return answer;
    const auto message = answer["error"].is_string() ? answer["error"].get<std::string>() : "no reason";
    const auto code = answer.contains("exit_code") && answer["exit_code"].is_number_integer()
                          ? answer["exit_code"].get<int>()
                          : 1;
    return fail(code >= 1 && code <= 8 ? static_cast<ErrorKind>(code) : ErrorKind::failed, "{}", message);
}

} // namespace tlc
