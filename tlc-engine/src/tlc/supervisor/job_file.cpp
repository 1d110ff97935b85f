// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/files.hpp>
#include <tlc/supervisor/job_file.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <type_traits>
#include <unistd.h>

namespace tlc {
namespace {

constexpr int version = 1;
constexpr const char* script_name = "script";

// Whether the value is a T: conversions would make something of any number.
template <typename T>
bool is_a(const nlohmann::json& value) {
    if constexpr (std::is_same_v<T, std::string>)
        return value.is_string();
    else if constexpr (std::is_same_v<T, bool>)
        return value.is_boolean();
    else if constexpr (std::is_integral_v<T>)
        return value.is_number_integer() && (std::is_signed_v<T> || value.is_number_unsigned()) &&
               value == nlohmann::json(value.get<T>());
    else
        return value.is_array() && std::all_of(value.begin(), value.end(), is_a<typename T::value_type>);
}

template <typename T>
Status take(const nlohmann::json& object, const char* key, T& to) {
    const auto found = object.find(key);
    if (found == object.end()) return fail(ErrorKind::damaged, "job.json: \"{}\" is missing", key);
    if (!is_a<T>(*found)) return fail(ErrorKind::damaged, "job.json: \"{}\" has the wrong type", key);
    to = found->get<T>();
    return {};
}

} // namespace

Status write_job_file(const std::filesystem::path& job_directory, const JobFile& file,
                      const std::filesystem::path& script) {
    TLC_TRY_ASSIGN(text, read_text(script));
    TLC_TRY(publish_text(job_directory / script_name, text, 0700));
    return publish_text(job_directory / "job.json", job_file_text(file));
}

std::string job_file_text(const JobFile& file) {
    const nlohmann::json object{{"version", version},
                                {"request", to_text(file.request)},
                                {"cluster", file.cluster},
                                {"id", file.id},
                                {"under_slurm", file.under_slurm},
                                {"arguments", file.arguments},
                                {"directory", file.directory.string()},
                                {"vcpus", file.vcpus},
                                {"memory_bytes", file.memory_bytes},
                                {"output_bases", file.output_bases}};
    return object.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

Result<JobFile> read_job_file(const std::filesystem::path& job_directory) {
    TLC_TRY_ASSIGN(text, read_text(job_directory / "job.json"));
    return parse_job_file(text, job_directory);
}

Result<JobFile> parse_job_file(std::string_view text, const std::filesystem::path& job_directory) {
    const auto object = nlohmann::json::parse(text, nullptr, false);
    if (!object.is_object())
        return fail(ErrorKind::damaged, "{}/job.json is not a JSON object", job_directory.string());
    int found_version = 0;
    TLC_TRY(take(object, "version", found_version));
    if (found_version != version)
        return fail(ErrorKind::incompatible, "{}/job.json has version {}, this program knows {}",
                    job_directory.string(), found_version, version);
    JobFile file;
    std::string request;
    std::string directory;
    TLC_TRY(take(object, "request", request));
    TLC_TRY_ASSIGN(parsed, from_text(request));
    file.request = parsed;
    TLC_TRY(take(object, "cluster", file.cluster));
    TLC_TRY(take(object, "id", file.id));
    TLC_TRY(take(object, "under_slurm", file.under_slurm));
    TLC_TRY(take(object, "arguments", file.arguments));
    TLC_TRY(take(object, "directory", directory));
    TLC_TRY(take(object, "vcpus", file.vcpus));
    TLC_TRY(take(object, "memory_bytes", file.memory_bytes));
    TLC_TRY(take(object, "output_bases", file.output_bases));
    file.directory = directory;
    file.script = job_directory / script_name;
    if (file.output_bases.size() != 2)
        return fail(ErrorKind::damaged, "job.json: \"output_bases\" must hold two numbers");
    return file;
}

namespace {

std::filesystem::path bases_file(const std::filesystem::path& job_directory, const std::string& run) {
    return job_directory / fmt::format("outputs-{}.json", run);
}

} // namespace

Status write_output_bases(const std::filesystem::path& job_directory, const std::string& run,
                          const std::vector<uint64_t>& bases) {
    return publish_text(bases_file(job_directory, run),
                        nlohmann::json{{"output_bases", bases}}.dump() + "\n");
}

Result<std::vector<uint64_t>> read_output_bases(const std::filesystem::path& job_directory,
                                                const std::string& run) {
    const auto file = bases_file(job_directory, run);
    TLC_TRY_ASSIGN(text, read_text(file));
    const auto object = nlohmann::json::parse(text, nullptr, false);
    std::vector<uint64_t> bases;
    if (!object.is_object() || !take(object, "output_bases", bases) || bases.size() != 2)
        return fail(ErrorKind::damaged, "{} is not understood", file.string());
    return bases;
}

Status write_job_result(const std::filesystem::path& job_directory, const JobResult& result) {
    const nlohmann::json object{{"version", version},
                                {"signalled", result.signalled},
                                {"code", result.code},
                                {"ended", result.ended},
                                {"by", result.by},
                                {"restarts", result.restarts},
                                {"complete", result.complete}};
    return publish_text(job_directory / "result.json", object.dump() + "\n");
}

Status remove_job_result(const std::filesystem::path& job_directory) {
    const auto path = job_directory / "result.json";
    if (::unlink(path.c_str()) == 0) return sync_path(job_directory);
    if (errno == ENOENT) return {};
    return fail_errno(errno, fmt::format("cannot remove {}", path.string()));
}

std::optional<JobResult> read_job_result(const std::filesystem::path& job_directory) {
    const auto text = read_text(job_directory / "result.json");
    return text ? parse_job_result(*text) : std::nullopt;
}

std::optional<JobResult> parse_job_result(std::string_view text) {
    const auto object = nlohmann::json::parse(text, nullptr, false);
    JobResult result;
    if (!object.is_object() || !take(object, "signalled", result.signalled) ||
        !take(object, "code", result.code) || !take(object, "ended", result.ended))
        return std::nullopt;
    // Earlier versions have not written these.
    if ((object.contains("by") && !take(object, "by", result.by)) ||
        (object.contains("restarts") && !take(object, "restarts", result.restarts)) ||
        (object.contains("complete") && !take(object, "complete", result.complete)))
        return std::nullopt;
    return result;
}

} // namespace tlc
