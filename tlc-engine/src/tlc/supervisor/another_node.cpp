// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/log.hpp>
#include <tlc/slurm/elsewhere.hpp>
#include <tlc/slurm/job_state.hpp>
#include <tlc/supervisor/another_node.hpp>

namespace tlc {

Error continue_on_another_node(const Job& job, const std::filesystem::path& directory, const Error& why) {
    constexpr std::chrono::seconds patience{10};
    const auto known = ask_slurm_job(job.id, patience);
    // One that is cancelled, or another copy's by now, is not to be requeued.
    if (!known || known->state != "RUNNING" || known->restarts > job.restart_count) return why;
    const auto line = why.message.substr(0, why.message.find('\n'));
    if (auto told = set_slurm_comment(job.slurm_name, known->comment,
                                      fmt::format("not continued on {}: {}", job.node, line), patience);
        !told)
        log::warning("the job's comment stays: {}", told.error().message);
    if (auto requeued = requeue_elsewhere(job.id, job.slurm_name, job.node, patience); !requeued)
        return Error{why.kind, fmt::format("{}; Slurm does not requeue the job: {}; {}", why.message,
                                           requeued.error().message, how_to_continue(job, directory))};
    return Error{why.kind, fmt::format("{}; the job is requeued, to continue on another node than {}",
                                       why.message, job.node)};
}

} // namespace tlc
