// SPDX-License-Identifier: GPL-2.0-or-later
#include <guest/job.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cstdint>

namespace tlc::guest {
namespace {

using Json = nlohmann::json;

Status take(const Json& object, const char* key, std::string& value) {
    auto found = object.find(key);
    if (found == object.end() || !found->is_string()) return fail("job.json: '{}' must be a string", key);
    value = found->get<std::string>();
    if (value.find('\0') != std::string::npos) return fail("job.json: '{}' holds a NUL byte", key);
    return {};
}

// A string that is not UTF-8 comes as a list of its bytes.
Status take(const Json& object, const char* key, std::vector<std::string>& values) {
    auto found = object.find(key);
    if (found == object.end() || !found->is_array()) return fail("job.json: '{}' must be a list", key);
    for (const auto& item : *found) {
        std::string text;
        if (item.is_string()) {
            text = item.get<std::string>();
        } else if (item.is_array()) {
            for (const auto& byte : item) {
                if (!byte.is_number_unsigned() || byte.get<uint64_t>() > 255)
                    return fail("job.json: '{}' has a list that is not one of bytes", key);
                text += static_cast<char>(byte.get<unsigned char>());
            }
        } else {
            return fail("job.json: '{}' must hold strings and lists of bytes only", key);
        }
        if (text.find('\0') != std::string::npos) return fail("job.json: '{}' holds a NUL byte", key);
        values.push_back(std::move(text));
    }
    return {};
}

Status to_id(const Json& item, const char* key, uint32_t& id) {
    // 2^32-1 means "leave as it is" to the kernel.
    if (!item.is_number_unsigned() || item.get<uint64_t>() >= UINT32_MAX)
        return fail("job.json: '{}' must be a user or group id", key);
    id = item.get<uint32_t>();
    return {};
}

Status take(const Json& object, const char* key, uint32_t& id) {
    auto found = object.find(key);
    if (found == object.end()) return fail("job.json: '{}' is missing", key);
    return to_id(*found, key, id);
}

Status take(const Json& object, const char* key, bool& value) {
    auto found = object.find(key);
    if (found == object.end() || !found->is_boolean())
        return fail("job.json: '{}' must be true or false", key);
    value = found->get<bool>();
    return {};
}

Status check_name(const char* key, const std::string& name) {
    if (name.empty() || name.find_first_of(":\n/ \t") != std::string::npos)
        return fail("job.json: '{}' is not a name: '{}'", key, name);
    return {};
}

Status check_job(const Job& job) {
    if (job.argv.empty() || job.argv[0].empty()) return fail("job.json: 'argv' is empty");
    for (const auto& entry : job.environment)
        if (entry.find('=') == std::string::npos || entry[0] == '=')
            return fail("job.json: 'environment' has an entry that is not NAME=value: '{}'", entry);
    TLC_TRY(check_name("user", job.user));
    TLC_TRY(check_name("group", job.group));
    TLC_TRY(check_name("hostname", job.hostname));
    if (job.hostname.size() > 63) return fail("job.json: 'hostname' is longer than 63 bytes");
    if (job.home.empty() || job.home[0] != '/' || job.home.find_first_of(":\n") != std::string::npos)
        return fail("job.json: 'home' is not an absolute path: '{}'", job.home);
    return check_cwd(job.cwd);
}

bool lies_in(std::string_view path, std::string_view directory) {
    return path.starts_with(directory) && (path.size() == directory.size() || path[directory.size()] == '/');
}

} // namespace

Status check_cwd(const std::string& cwd) {
    static constexpr std::array hidden = {"/proc", "/sys", "/dev", "/run"};
    static constexpr std::array needed = {"/bin", "/sbin", "/lib", "/lib32",   "/lib64",
                                          "/etc", "/usr",  "/var", "/usr/bin", "/usr/lib"};
    if (cwd.empty() || cwd[0] != '/') return fail("the working directory '{}' is not an absolute path", cwd);
    const std::string whole = cwd + "/";
    if (whole.find("/../") != std::string::npos || whole.find("/./") != std::string::npos ||
        whole.find("//") != std::string::npos)
        return fail("the working directory '{}' must be written without '.', '..' and empty parts", cwd);
    const bool bad = cwd == "/" || std::ranges::any_of(hidden, [&](auto d) { return lies_in(cwd, d); }) ||
                     std::ranges::any_of(needed, [&](auto d) { return cwd == d; });
    if (bad)
        return fail("the working directory cannot be '{}' inside a virtual machine, whose system lies there; "
                    "submit the job from another directory",
                    cwd);
    return {};
}

Result<Job> parse_job(std::string_view text) {
    const Json object = Json::parse(text, nullptr, false);
    if (!object.is_object()) return fail("job.json is not a JSON object");
    auto version = object.find("version");
    if (version == object.end() || *version != 1)
        return fail("job.json has another version than this guest program; make the initramfs again with the "
                    "tlc-guest of this release");
    Job job;
    TLC_TRY(take(object, "argv", job.argv));
    TLC_TRY(take(object, "environment", job.environment));
    TLC_TRY(take(object, "cwd", job.cwd));
    TLC_TRY(take(object, "uid", job.uid));
    TLC_TRY(take(object, "gid", job.gid));
    TLC_TRY(take(object, "user", job.user));
    TLC_TRY(take(object, "group", job.group));
    TLC_TRY(take(object, "home", job.home));
    TLC_TRY(take(object, "hostname", job.hostname));
    TLC_TRY(take(object, "merge_output", job.merge_output));
    TLC_TRY(take(object, "tmp_on_work", job.tmp_on_work));
    auto groups = object.find("groups");
    if (groups == object.end() || !groups->is_array()) return fail("job.json: 'groups' must be a list");
    for (const auto& item : *groups) {
        uint32_t id = 0;
        TLC_TRY(to_id(item, "groups", id));
        job.groups.push_back(id);
    }
    if (auto mask = object.find("umask"); mask != object.end()) {
        if (!mask->is_number_unsigned() || mask->get<uint64_t>() > 0777)
            return fail("job.json: 'umask' must be a number up to 511");
        job.umask = mask->get<mode_t>();
    }
    TLC_TRY(check_job(job));
    return job;
}

} // namespace tlc::guest
