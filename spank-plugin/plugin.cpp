// SPDX-License-Identifier: GPL-2.0-or-later
// Everything Slurm calls. No hook returns an error: an "optional" plugin's would be ignored, and some of a
// required one's would drain the node. What must stop sbatch or the job ends the process instead.
#include <cstdlib>
#include <exception>
#include <unistd.h>

#include "node.hpp"
#include "options.hpp"
#include "slurm_log.hpp"
#include "spank.hpp"
#include "submit.hpp"

// SPANK_PLUGIN defines const objects, which C++ would keep to this file.
extern "C" {
extern const char plugin_name[];
extern const char plugin_type[];
extern const unsigned int plugin_version;
extern const unsigned int spank_plugin_version;
SPANK_PLUGIN(tlc, 1)

#if SLURM_VERSION_NUMBER >= SLURM_VERSION_NUM(25, 5, 0)
extern int slurm_spank_init_failure_mode;
int slurm_spank_init_failure_mode = ESPANK_JOB_FAILURE;
#endif
}

namespace {

tlc::spank::Arguments& arguments() {
    static tlc::spank::Arguments value;
    return value;
}

tlc::spank::Node& node() {
    static tlc::spank::Node value;
    return value;
}

// Runs a hook; no exception reaches Slurm. Returns whether it went well, after logging why not.
template <typename Hook>
bool succeeds(const char* name, Hook hook) noexcept {
    try {
        const tlc::Status status = hook();
        if (!status) tlc::spank::log_error(status.error().message);
        return status.has_value();
    } catch (const std::exception& problem) {
        slurm_error("tlc: %s: %s", name, problem.what());
    } catch (...) {
        slurm_error("tlc: %s: unknown problem", name);
    }
    return false;
}

} // namespace

extern "C" int slurm_spank_init(spank_t spank, int count, char* values[]) {
    succeeds("init", [&]() -> tlc::Status {
        const auto context = spank_context();
        if (context != S_CTX_ALLOCATOR && context != S_CTX_REMOTE) return {};
        arguments() = tlc::spank::parse_arguments(count, values);
        if (context == S_CTX_ALLOCATOR) tlc::spank::forget_inherited_options();
        tlc::spank::register_options(spank);
        // In sbatch a wrong argument is the business of jobs with our options only; see submit().
        return context == S_CTX_REMOTE ? arguments().status : tlc::Status{};
    });
    return ESPANK_SUCCESS;
}

extern "C" int slurm_spank_init_post_opt(spank_t, int, char*[]) {
    if (spank_context() != S_CTX_ALLOCATOR) return ESPANK_SUCCESS;
    const bool good = succeeds("init_post_opt",
                               [] { return tlc::spank::submit(arguments(), tlc::spank::given_options()); });
    if (!good) std::exit(EXIT_FAILURE); // sbatch, which has submitted nothing yet
    return ESPANK_SUCCESS;
}

extern "C" int slurm_spank_task_init_privileged(spank_t spank, int, char*[]) {
    succeeds("task_init_privileged", [&]() -> tlc::Status {
        node().prepare(spank, arguments());
        return {};
    });
    return ESPANK_SUCCESS;
}

extern "C" int slurm_spank_task_init(spank_t spank, int, char*[]) {
    const bool good = succeeds("task_init", [&] { return node().start(spank, arguments()); });
    if (!good) ::_exit(EXIT_FAILURE); // the forked task: the job fails as if its script had
    return ESPANK_SUCCESS;
}
