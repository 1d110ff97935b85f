// SPDX-License-Identifier: GPL-2.0-or-later
#include "submit.hpp"

#include <tlc/base/units.hpp>
#include <tlc/request/validate.hpp>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string_view>

#include "sbatch_options.hpp"
#include "slurm_log.hpp"

namespace tlc::spank {
namespace {

std::optional<std::string> own_environment(const char* name) {
    const char* value = ::getenv(name);
    if (value == nullptr) return std::nullopt;
    return value;
}

Status hand_over(const JobRequest& request) {
    if (::setenv(request_variable, to_text(request).c_str(), 1) != 0)
        return fail_errno(errno, "cannot set the job's environment");
    return {};
}

// What was said to sbatch itself and does not go together with a VM. `component`: of a heterogeneous job,
// from 1.
Status check_sbatch(const JobRequest& request, unsigned component) {
    TLC_TRY(check_nodes(1, component));
    const auto nodes = sbatch_option("nodes").value_or("1");
    TLC_TRY(check_nodes_option(nodes));
    if (const auto tasks = sbatch_option("ntasks").value_or("1"); tasks != "1" && nodes != "1")
        log_info(fmt::format(
            "--ntasks={} without --nodes=1: Slurm may spread the tasks over several nodes, where the "
            "job would fail, as a VM runs on one; write --nodes=1 as well",
            tasks));
    // "0" and what is no size are no limit.
    if (const auto memory = parse_size(sbatch_option("mem").value_or("0")))
        TLC_TRY(check_memory(request, *memory));
    if (sbatch_option("requeue") != "no-requeue") return {};
    if (request.continues)
        return fail(ErrorKind::usage,
                    "--vm-checkpoint-continue: with --no-requeue Slurm does not start the job again "
                    "at its time limit; leave one of the two out");
    log_info(
        "with --no-requeue the job is not started again when its node dies or it is preempted; leave it out, "
        "or continue the job yourself: tlc-restart run JOB");
    return {};
}

} // namespace

Status submit(const Arguments& arguments, const GivenOptions& options) {
    ::unsetenv(request_variable); // of the job in which this sbatch may run
    static unsigned component = 0;
    ++component;
    if (std::string_view(program_invocation_short_name) == "salloc") {
        if (options.empty()) return {};
        return fail(ErrorKind::usage,
                    "--{} works with sbatch only, salloc has no batch script to run in a VM; leave it out",
                    options.begin()->first);
    }
    TLC_TRY_ASSIGN(resolved, resolve(options, own_environment));
    for (const auto& name : resolved.ignored)
        log_info(fmt::format("{} has no effect with --vm-checkpoint=off", name));
    if (!resolved.request.active()) {
        // Said with an option, "off" must also beat a twin that the node would find in the job's environment.
        return options.empty() ? Status{} : hand_over(resolved.request);
    }
    TLC_TRY(arguments.status);
    TLC_TRY(check_sbatch(resolved.request, component));
    // Where sbatch does not tell, the site's setting stays as it is.
    resolved.request.requeues = sbatch_option("requeue").value_or("no-requeue") != "no-requeue";
    std::error_code error;
    const auto directory = std::filesystem::current_path(error);
    if (error) return fail("cannot find the current directory: {}", error.message());
    resolve_paths(resolved.request, directory);
    // tlc-restart's: that job has begun already.
    if (!own_environment("SLURM_TLC_RESTART_FROM")) TLC_TRY(check_files(resolved.request, directory));
    return hand_over(resolved.request);
}

} // namespace tlc::spank
