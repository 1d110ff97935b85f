// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/log.hpp>
#include <tlc/base/process.hpp>
#include <tlc/supervisor/slurm_state.hpp>

#include <algorithm>
#include <array>

namespace tlc {

bool will_be_requeued(const std::string& job_id) {
    const auto answer =
        run({"scontrol", "--oneliner", "show", "job", job_id}, false, std::chrono::seconds(5));
    if (!answer || answer->status.code != 0) {
        log::warning("slurmctld does not say what happens to the job");
        return true;
    }
    constexpr std::string_view key = "JobState=";
    const auto at = answer->text.find(key);
    if (at == std::string::npos) return true;
    const auto begin = at + key.size();
    const auto state = answer->text.substr(begin, answer->text.find_first_of(" \n", begin) - begin);
    log::info("Slurm's state of the job: {}", state);
    constexpr std::array<std::string_view, 3> final_or_running{"CANCELLED", "TIMEOUT", "RUNNING"};
    return std::none_of(final_or_running.begin(), final_or_running.end(),
                        [&](auto name) { return state.starts_with(name); });
}

std::string how_to_continue(const Job& job, const std::filesystem::path& directory) {
    return fmt::format("continue it with: tlc-restart --checkpoint-dir={} run {}{}",
                       directory.parent_path().string(), job.id, job.under_slurm ? "" : " --local");
}

} // namespace tlc
