// SPDX-License-Identifier: GPL-2.0-or-later
#include "node.hpp"

#include <tlc/request/validate.hpp>

#include <slurm/slurm.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

#include "options.hpp"
#include "submit.hpp"

namespace tlc::spank {
namespace {

bool is_batch_script(spank_t spank) {
    uint32_t step = 0;
    return spank_get_item(spank, S_JOB_STEPID, &step) == ESPANK_SUCCESS && step == SLURM_BATCH_SCRIPT;
}

std::optional<std::string> job_variable(spank_t spank, const char* name) {
    std::string value(size_t{1} << 12, '\0');
    for (;;) {
        const auto rc = spank_getenv(spank, name, value.data(), static_cast<int>(value.size()));
        if (rc == ESPANK_SUCCESS) return value.c_str();
        if (rc != ESPANK_NOSPACE || value.size() >= size_t{1} << 22) return std::nullopt;
        value.resize(value.size() * 2);
    }
}

uint64_t job_number(spank_t spank, const char* name) {
    const auto text = job_variable(spank, name).value_or("1");
    uint64_t value = 1;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

Status set_variable(spank_t spank, const char* name, const std::string& value) {
    if (spank_setenv(spank, name, value.c_str(), 1) == ESPANK_SUCCESS) return {};
    return fail("cannot set {} in the job's environment", name);
}

// Leaves the device open in the batch script's process, and its number in the environment.
void open_device(spank_t spank, const char* path, const char* variable) {
    const int fd = ::open(path, O_RDWR); // inherited on purpose: no O_CLOEXEC
    if (fd < 0)
        spank_unsetenv(spank, variable);
    else
        spank_setenv(spank, variable, std::to_string(fd).c_str(), 1);
}

Status swap_program(spank_t spank, const std::string& launcher) {
    int argc = 0;
    char** argv = nullptr;
    if (spank_get_item(spank, S_JOB_ARGV, &argc, &argv) != ESPANK_SUCCESS || argc < 1 || argv == nullptr)
        return fail("Slurm does not tell the batch script's name; is this Slurm version supported?");
    TLC_TRY(set_variable(spank, "TLC_SCRIPT", argv[0]));
#if SLURM_VERSION_NUMBER >= SLURM_VERSION_NUM(23, 11, 0)
    // The launcher finds the script in its first argument too and skips it there.
    const char* prefix[] = {launcher.c_str()};
    if (spank_prepend_task_argv(spank, 1, prefix) != ESPANK_SUCCESS)
        return fail("Slurm does not let the plugin start {}", launcher);
#else
    // This is the array that will be executed, in a process of its own: nobody frees the old string.
    argv[0] = ::strdup(launcher.c_str());
    if (argv[0] == nullptr) return fail_errno(ENOMEM, "cannot start the launcher");
#endif
    return {};
}

} // namespace

Status Node::read_request(spank_t spank) {
    if (const auto text = job_variable(spank, request_variable)) {
        TLC_TRY_ASSIGN(request, from_text(*text));
        request_ = std::move(request);
    } else {
        // A job that did not come through sbatch: only what it carries in its environment is known.
        TLC_TRY_ASSIGN(resolved,
                       resolve(given_options(), [&](const char* name) { return job_variable(spank, name); }));
        request_ = std::move(resolved.request);
        files_unchecked_ = true;
    }
    if (!request_.active()) return {};
    return check_nodes(job_number(spank, "SLURM_JOB_NUM_NODES"), job_number(spank, "SLURM_HET_SIZE"));
}

void Node::prepare(spank_t spank, const Arguments& arguments) {
    if (!is_batch_script(spank)) return;
    status_ = read_request(spank);
    if (!status_ || !request_.active() || !arguments.open_devices) return;
    open_device(spank, "/dev/userfaultfd", "TLC_USERFAULTFD_FD");
    open_device(spank, "/dev/kvm", "TLC_KVM_FD");
}

Status Node::start(spank_t spank, const Arguments& arguments) {
    if (!is_batch_script(spank)) return {};
    TLC_TRY(status_);
    spank_unsetenv(spank, request_variable);
    for (const auto& name : option_variables())
        spank_unsetenv(spank, name.c_str());
    if (!request_.active()) return {};
    TLC_TRY(arguments.status);
    // Not before: root would tell the user what lies where he may not look.
    if (files_unchecked_) {
        const auto directory = job_variable(spank, "SLURM_SUBMIT_DIR").value_or("/");
        resolve_paths(request_, directory);
        // A job that was begun before goes on also without what it was begun with.
        if (!job_variable(spank, "SLURM_RESTART_COUNT")) TLC_TRY(check_files(request_, directory));
    }
    if (::access(arguments.launcher.c_str(), X_OK) != 0)
        return fail("cannot execute {} on this node ({}); ask the administrator to install it, or to correct "
                    "launcher= in plugstack.conf",
                    arguments.launcher, std::strerror(errno));
    TLC_TRY(set_variable(spank, "TLC_JOB_REQUEST", to_text(request_)));
    if (!arguments.config.empty()) TLC_TRY(set_variable(spank, "TLC_CONFIG", arguments.config));
    return swap_program(spank, arguments.launcher);
}

} // namespace tlc::spank
