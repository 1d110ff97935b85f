// SPDX-License-Identifier: GPL-2.0-or-later
#include "submit.hpp"

#include <tlc/request/validate.hpp>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string_view>

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

} // namespace

Status submit(const Arguments& arguments, const GivenOptions& options) {
    ::unsetenv(request_variable); // of the job in which this sbatch may run
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
    std::error_code error;
    const auto directory = std::filesystem::current_path(error);
    if (error) return fail("cannot find the current directory: {}", error.message());
    TLC_TRY(check_files(resolved.request, directory));
    return hand_over(resolved.request);
}

} // namespace tlc::spank
