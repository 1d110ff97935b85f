// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/files.hpp>
#include <tlc/stage/job_cpio.hpp>

#include <nlohmann/json.hpp>

namespace tlc {
namespace {

using Json = nlohmann::ordered_json;

bool is_utf8(const std::string& text) {
    try {
        (void)nlohmann::json(text).dump();
        return true;
    } catch (const nlohmann::json::type_error&) {
        return false;
    }
}

Json any_bytes(const std::vector<std::string>& strings) {
    Json list = Json::array();
    for (const auto& string : strings) {
        if (is_utf8(string)) {
            list.push_back(string);
            continue;
        }
        Json bytes = Json::array();
        for (char byte : string)
            bytes.push_back(static_cast<unsigned char>(byte));
        list.push_back(std::move(bytes));
    }
    return list;
}

// One member: header of eight-digit hexadecimal fields, name, content, both padded to four bytes.
void add_member(std::string& archive, unsigned inode, unsigned mode, std::string_view name,
                std::string_view content) {
    const unsigned links = (mode & 0170000) == 0040000 ? 2 : 1;
    auto pad = [&] { archive.append((4 - archive.size() % 4) % 4, '\0'); };
    archive +=
        fmt::format("070701{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}",
                    inode, mode, 0, 0, links, 0, content.size(), 0, 0, 0, 0, name.size() + 1, 0);
    archive.append(name).push_back('\0');
    pad();
    archive.append(content);
    pad();
}

} // namespace

Result<std::string> job_json(const JobDescription& job) {
    for (const auto* text : {&job.cwd, &job.user, &job.group, &job.home, &job.hostname})
        if (!is_utf8(*text))
            return fail(
                "'{}' is not UTF-8 text; rename the directory or account, or work in another directory",
                *text);
    Json groups = Json::array();
    for (gid_t id : job.groups)
        groups.push_back(id);
    return Json{{"version", 1},
                {"argv", any_bytes(job.argv)},
                {"environment", any_bytes(job.environment)},
                {"cwd", job.cwd},
                {"uid", job.uid},
                {"gid", job.gid},
                {"groups", groups},
                {"user", job.user},
                {"group", job.group},
                {"home", job.home},
                {"hostname", job.hostname},
                {"merge_output", job.merge_output},
                {"tmp_on_work", job.tmp_on_work},
                {"umask", job.umask}}
        .dump();
}

Status write_job_cpio(const std::filesystem::path& path, const JobDescription& job,
                      const std::filesystem::path& script) {
    TLC_TRY_ASSIGN(content, read_text(script));
    TLC_TRY_ASSIGN(json, job_json(job));
    std::string archive;
    add_member(archive, 1, 0040700, "job", "");
    add_member(archive, 2, 0100700, "job/script", content);
    add_member(archive, 3, 0100600, "job/job.json", json);
    add_member(archive, 0, 0, "TRAILER!!!", "");
    archive.append((512 - archive.size() % 512) % 512, '\0');
    return publish_text(path, archive);
}

} // namespace tlc
