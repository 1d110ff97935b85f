// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/files.hpp>
#include <tlc/supervisor/job_status.hpp>

#include <nlohmann/json.hpp>

namespace tlc {
namespace {

constexpr int version = 1;
constexpr const char* file_name = "status.json";

int64_t seconds_of(JobStatus::Time time) {
    return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

JobStatus::Time time_in(const nlohmann::json& object, const char* key) {
    return JobStatus::Time(std::chrono::seconds(object.at(key).get<int64_t>()));
}

// Backslash, quote and newline have to be escaped in a label's value.
std::string label(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '\\' || c == '"') out += '\\';
        out += c == '\n' ? ' ' : c;
    }
    return out;
}

} // namespace

std::string status_text(const JobStatus& status) {
    nlohmann::json object{{"version", version},
                          {"job", status.job},
                          {"node", status.node},
                          {"state", status.state},
                          {"epoch", status.epoch},
                          {"started", seconds_of(status.started)},
                          {"updated", seconds_of(status.updated)},
                          {"next_checkpoint", seconds_of(status.next_checkpoint)},
                          {"interval", status.interval.count()},
                          {"checkpoints", status.checkpoints},
                          {"failed", status.failed},
                          {"stopped_ms", status.stopped_ms},
                          {"longest_pause_ms", status.longest_pause_ms}};
    if (status.last)
        object["last"] = {{"sequence", status.last->sequence},
                          {"taken", seconds_of(status.last->taken)},
                          {"pause_ms", status.last->pause_ms},
                          {"latency_ms", status.last->latency_ms},
                          {"stored_bytes", status.last->stored_bytes}};
    // Other programs' text, a node's name say, need not be UTF-8.
    return object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

Result<JobStatus> parse_status(std::string_view text) {
    const auto object = nlohmann::json::parse(text, nullptr, false);
    try {
        if (!object.is_object() || object.at("version") != version)
            return fail(ErrorKind::damaged, "{} is not one of this version", file_name);
        JobStatus status;
        status.job = object.at("job");
        status.node = object.at("node");
        status.state = object.at("state");
        status.epoch = object.at("epoch");
        status.started = time_in(object, "started");
        status.updated = time_in(object, "updated");
        status.next_checkpoint = time_in(object, "next_checkpoint");
        status.interval = std::chrono::seconds(object.at("interval").get<int64_t>());
        status.checkpoints = object.at("checkpoints");
        status.failed = object.at("failed");
        status.stopped_ms = object.at("stopped_ms");
        status.longest_pause_ms = object.at("longest_pause_ms");
        if (const auto last = object.find("last"); last != object.end())
            status.last = JobStatus::Last{last->at("sequence"), time_in(*last, "taken"), last->at("pause_ms"),
                                          last->at("latency_ms"), last->at("stored_bytes")};
        return status;
    } catch (const nlohmann::json::exception& error) {
        return fail(ErrorKind::damaged, "{} is not understood: {}", file_name, error.what());
    }
}

Status write_status(const std::filesystem::path& job_directory, const JobStatus& status) {
    return replace_text(job_directory / file_name, status_text(status));
}

Result<JobStatus> read_status(const std::filesystem::path& job_directory) {
    std::error_code error;
    if (!std::filesystem::exists(job_directory / file_name, error))
        return fail(ErrorKind::no_checkpoint, "{} tells nothing of how the job is doing (no {})",
                    job_directory.string(), file_name);
    constexpr size_t most = 64 * 1024;
    TLC_TRY_ASSIGN(text, read_text(job_directory / file_name, most));
    return parse_status(text);
}

std::string metrics_text(const JobStatus& status) {
    const auto labels = fmt::format("{{job=\"{}\"}}", label(status.job));
    std::string out;
    const auto add = [&](const char* name, const char* type, const char* help, double value) {
        out += fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n{0}{3} {4}\n", name, help, type, labels, value);
    };
    add("tlc_checkpoints_total", "counter", "Checkpoints published since this start of the job.",
        static_cast<double>(status.checkpoints));
    add("tlc_checkpoints_failed_total", "counter", "Checkpoints given up since this start of the job.",
        static_cast<double>(status.failed));
    add("tlc_stopped_seconds_total", "counter", "Time the VM stood still for its checkpoints.",
        status.stopped_ms / 1000);
    add("tlc_longest_pause_seconds", "gauge", "The longest of these times.", status.longest_pause_ms / 1000);
    add("tlc_interval_seconds", "gauge", "Time between two checkpoints.",
        static_cast<double>(status.interval.count()));
    add("tlc_running", "gauge", "1 while the VM computes, 0 while it stands still or is being restored.",
        status.state == "running" || status.state == "filling" || status.state == "leaving" ? 1 : 0);
    add("tlc_started_timestamp_seconds", "gauge", "When this start of the job began.",
        static_cast<double>(seconds_of(status.started)));
    if (status.last) {
        add("tlc_last_checkpoint_timestamp_seconds", "gauge",
            "When the checkpoint was taken that the job would continue from.",
            static_cast<double>(seconds_of(status.last->taken)));
        add("tlc_last_checkpoint_latency_seconds", "gauge", "From its begin until it was durable.",
            status.last->latency_ms / 1000);
        add("tlc_last_checkpoint_bytes", "gauge", "What was stored for it.",
            static_cast<double>(status.last->stored_bytes));
    }
    return out;
}

std::filesystem::path metrics_file(const std::filesystem::path& directory, const std::string& job) {
    return directory / fmt::format("tlc-{}.prom", job);
}

} // namespace tlc
