// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/files.hpp>
#include <tlc/base/process.hpp>
#include <tlc/vm/domain.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <unistd.h>

namespace tlc {
namespace {

Result<std::vector<std::string>> strings_in(const nlohmann::json& object, const std::string& where) {
    std::vector<std::string> all;
    if (const auto found = object.find("arguments"); found != object.end() && found->is_array())
        for (const auto& item : *found)
            if (item.is_string()) all.push_back(item.get<std::string>());
    if (all.empty()) return fail(ErrorKind::damaged, "{} holds no arguments for QEMU", where);
    return all;
}

} // namespace

Result<std::vector<std::string>> platform_from_domain(const std::filesystem::path& program,
                                                      const std::filesystem::path& domain_template,
                                                      const Machine& machine) {
    if (::access(program.c_str(), X_OK) != 0)
        return fail(
            ErrorKind::usage,
            "vm.driver is \"libvirt\", but there is no {}: install libvirt-dev and build tlc again, or "
            "write driver = \"direct\" in tlc.toml",
            program.string());
    TLC_TRY_ASSIGN(output, run({program.string(), "--template", domain_template.string(), "--qemu",
                                machine.qemu.string(), "--machine", machine.type, "--accelerator",
                                machine.accelerator, "--vcpus", fmt::format("{}", machine.vcpus),
                                "--memory-mebibytes", fmt::format("{}", machine.memory_bytes >> 20)}));
    // Before the last line are messages of libvirt's.
    std::string text = output.text;
    while (text.ends_with('\n'))
        text.pop_back();
    const auto answer = nlohmann::json::parse(text.substr(text.rfind('\n') + 1), nullptr, false);
    if (!answer.is_object())
        return fail("{} failed ({}): {}", program.string(), output.status.text(), text.substr(0, 600));
    if (answer.contains("error") && answer["error"].is_string())
        return fail(output.status.code == static_cast<int>(ErrorKind::usage) ? ErrorKind::usage
                                                                             : ErrorKind::failed,
                    "vm.domain_template: {}", answer["error"].get<std::string>());
    return strings_in(answer, program.string());
}

Status write_platform(const std::filesystem::path& file, const std::vector<std::string>& platform) {
    if (!platform.empty()) return publish_text(file, nlohmann::json{{"arguments", platform}}.dump(2) + "\n");
    if (::unlink(file.c_str()) != 0 && errno != ENOENT)
        return fail_errno(errno, fmt::format("cannot remove {}", file.string()));
    return {};
}

Result<std::vector<std::string>> read_platform(const std::filesystem::path& file) {
    std::error_code error;
    if (!std::filesystem::exists(file, error) && !error) return std::vector<std::string>{};
    TLC_TRY_ASSIGN(text, read_text(file, size_t{1} << 20));
    const auto object = nlohmann::json::parse(text, nullptr, false);
    if (!object.is_object()) return fail(ErrorKind::damaged, "{} is not JSON", file.string());
    return strings_in(object, file.string());
}

std::string cpu_of_platform(const std::vector<std::string>& platform) {
    const auto option = std::find(platform.begin(), platform.end(), "-cpu");
    if (option == platform.end() || option + 1 == platform.end()) return {};
    return (option + 1)->substr(0, (option + 1)->find(','));
}

} // namespace tlc
