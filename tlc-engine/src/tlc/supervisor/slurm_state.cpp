// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/log.hpp>
#include <tlc/base/process.hpp>
#include <tlc/supervisor/slurm_state.hpp>

#include <charconv>
#include <optional>
#include <system_error>

namespace tlc {
namespace {

// What follows `key` in scontrol's line; empty: it is not there.
std::string_view field_of(std::string_view line, std::string_view key) {
    const auto at = line.find(key);
    if (at == std::string_view::npos) return {};
    line.remove_prefix(at + key.size());
    return line.substr(0, line.find_first_of(" \n"));
}

std::optional<unsigned> first_number(std::string_view text) {
    const auto at = text.find_first_of("0123456789");
    if (at == std::string_view::npos) return std::nullopt;
    unsigned number = 0;
    if (std::from_chars(text.data() + at, text.data() + text.size(), number).ec != std::errc{})
        return std::nullopt;
    return number;
}

} // namespace

Fate fate_of(const Job& job) {
    const auto answer =
        run({"scontrol", "--oneliner", "show", "job", job.id}, false, std::chrono::seconds(5));
    if (!answer || answer->status.code != 0) {
        log::warning("slurmctld does not say what happens to the job");
        return Fate::requeued;
    }
    const auto state = field_of(answer->text, "JobState=");
    const auto reason = field_of(answer->text, " Reason=");
    const auto restarts = first_number(field_of(answer->text, " Restarts="));
    log::info("Slurm's state of the job: {} ({})", state, reason);
    // COMPLETING is a job that is out of time, cancelled, or being requeued. The last one's restarts are
    // counted already.
    if (reason == "TimeLimit" || state == "TIMEOUT") return Fate::timed_out;
    const bool counted = restarts && *restarts > job.restart_count;
    if (state == "COMPLETING" && restarts && !counted) return Fate::told;
    return state == "CANCELLED" || state == "RUNNING" ? Fate::told : Fate::requeued;
}

std::chrono::seconds kill_wait() {
    constexpr std::chrono::seconds slurms_default{30};
    const auto answer = run({"scontrol", "show", "config"}, false, std::chrono::seconds(3));
    if (!answer || answer->status.code != 0) return slurms_default;
    // KillWait                = 30 sec
    constexpr std::string_view key = "\nKillWait ";
    const std::string_view text = answer->text;
    const auto at = text.find(key);
    if (at == std::string_view::npos) return slurms_default;
    const auto seconds = first_number(text.substr(at, text.find('\n', at + 1) - at));
    return seconds ? std::chrono::seconds(*seconds) : slurms_default;
}

std::string how_to_continue(const Job& job, const std::filesystem::path& directory) {
    return fmt::format("continue it with: tlc-restart --checkpoint-dir={} run {}{}",
                       directory.parent_path().string(), job.id, job.under_slurm ? "" : " --local");
}

} // namespace tlc
