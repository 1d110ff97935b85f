// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/vm/qmp_answer.hpp>

#include <algorithm>

namespace tlc {

Result<nlohmann::json> parse_qmp_line(std::string_view line) {
    auto object = nlohmann::json::parse(line, nullptr, false);
    if (!object.is_object()) return fail("QMP: a line is not a JSON object");
    return object;
}

Result<std::string> qemu_version_in(const nlohmann::json& greeting) {
    const auto path = nlohmann::json::json_pointer("/QMP/version/qemu");
    if (!greeting.contains(path) || !greeting[path].is_object()) return fail("this is no QMP greeting");
    std::string version;
    for (const char* part : {"major", "minor", "micro"}) {
        const auto number = greeting[path].find(part);
        if (number != greeting[path].end() && !number->is_number_unsigned())
            return fail("the QMP greeting has a version that is no number");
        if (!version.empty()) version += '.';
        version += fmt::format("{}", number == greeting[path].end() ? 0 : number->get<uint64_t>());
    }
    return version;
}

std::optional<Result<nlohmann::json>> qmp_answer(nlohmann::json& object, std::string_view command) {
    // Moved: copying is recursive, and nobody has said how deep the value is.
    if (const auto value = object.find("return"); value != object.end())
        return Result<nlohmann::json>(std::move(*value));
    const auto error = object.find("error");
    if (error == object.end() || !error->is_object()) return std::nullopt;
    const auto text = error->find("desc");
    return fail("{}: {}", command,
                text != error->end() && text->is_string() ? text->get_ref<const std::string&>()
                                                          : "refused without a reason");
}

VmStatus vm_status_in(const nlohmann::json& returned) {
    VmStatus status;
    if (!returned.is_object()) return status;
    if (const auto running = returned.find("running"); running != returned.end() && running->is_boolean())
        status.running = running->get<bool>();
    const auto state = returned.find("status");
    status.io_error = state != returned.end() && *state == "io-error";
    return status;
}

bool io_failed_in(const nlohmann::json& returned) {
    if (!returned.is_array()) return false;
    return std::any_of(returned.begin(), returned.end(), [](const auto& drive) {
        if (!drive.is_object()) return false;
        const auto status = drive.find("io-status");
        return status != drive.end() && *status == "failed";
    });
}

} // namespace tlc
