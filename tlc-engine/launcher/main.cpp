// SPDX-License-Identifier: GPL-2.0-or-later
// tlc-run: runs one job in a VM, checkpoints it, and restores it. Under Slurm the plugin puts it in the batch
// script's place and says everything by environment; its arguments are then the script's.
#include <tlc/base/units.hpp>
#include <tlc/request/resolve.hpp>
#include <tlc/request/validate.hpp>
#include <tlc/supervisor/job_file.hpp>
#include <tlc/supervisor/session.hpp>

#include <CLI/CLI.hpp>
#include <fmt/chrono.h>

#include <cstdlib>
#include <unistd.h>

namespace {

using namespace tlc;

int tell(const Error& error) {
    fmt::print(stderr, "tlc-run: error: {}\n", error.message);
    return error.exit_code();
}

std::optional<std::string> variable(const char* name) {
    const char* value = std::getenv(name);
    return value ? std::optional<std::string>(value) : std::nullopt;
}

int finish(const Result<JobEnd>& end) {
    if (!end) return tell(end.error());
    std::fflush(nullptr);
    if (end->signalled) die_by(end->code);
    return end->code;
}

int run_under_slurm(int argc, char** argv) {
    // From Slurm 23.11 on the launcher is put before the script, earlier in its place.
    char** first = argv + 1;
    if (argc > 1 && variable("TLC_SCRIPT") == argv[1]) ++first;
    auto job = job_from_slurm({first, argv + argc});
    if (!job) return tell(job.error());
    const auto config = load_config(variable("TLC_CONFIG").value_or(""));
    if (!config) return tell(config.error());
    const auto end = run_job(std::move(*job), *config);
    // The job's output is another copy's now.
    if (!end && end.error().kind == ErrorKind::busy) return end.error().exit_code();
    return finish(end);
}

// What tlc-run is given by hand.
struct CommandLine {
    GivenOptions options;
    std::string config;
    std::string memory;
    unsigned cpus = 1;
    std::string restart;
    std::optional<uint64_t> sequence;
    bool check_config = false;
    std::vector<std::string> command;
};

Result<Job> local_job(const CommandLine& line) {
    Job job;
    job.cluster = "local";
    job.id = fmt::format("{:%Y%m%d-%H%M%S}-{}", std::chrono::system_clock::now(), ::getpid());
    job.vcpus = line.cpus;
    job.directory = std::filesystem::current_path();
    job.environment = job_environment();
    if (!line.memory.empty()) {
        TLC_TRY_ASSIGN(bytes, parse_size(line.memory));
        job.memory_bytes = bytes;
    }
    if (!line.restart.empty()) {
        TLC_TRY_ASSIGN(file, read_job_file(line.restart));
        job.cluster = file.cluster;
        job.id = file.id;
        job.request = file.request;
        job.script = file.script;
        job.arguments = file.arguments;
        job.directory = file.directory;
        job.vcpus = file.vcpus;
        job.memory_bytes = file.memory_bytes;
        job.restart_from = line.restart;
        job.restart_sequence = line.sequence;
        std::error_code error;
        std::filesystem::current_path(job.directory, error);
        if (error)
            return fail("cannot enter the job's directory {}: {}", job.directory.string(), error.message());
        return job;
    }
    if (line.command.empty())
        return fail(ErrorKind::usage, "nothing to run; write tlc-run --checkpoint=10m -- ./job.sh");
    TLC_TRY_ASSIGN(resolution, resolve(line.options, variable));
    if (!resolution.request.active())
        return fail(ErrorKind::usage, "say how often to checkpoint: --checkpoint=10m");
    job.request = resolution.request;
    job.script = line.command.front();
    job.arguments = {line.command.begin() + 1, line.command.end()};
    if (::access(job.script.c_str(), R_OK) != 0)
        return fail_errno(errno, fmt::format("cannot read {}", job.script.string()));
    return job;
}

int run_by_hand(int argc, char** argv) {
    CommandLine line;
    CLI::App app{"Runs a job in a virtual machine that is checkpointed while it computes.", "tlc-run"};
    app.set_version_flag("--version", TLC_VERSION);
    for (const auto& option : option_table()) {
        const std::string name = option.name;
        std::string spelling = "--" + name;
        // By hand nobody needs the "vm-" that keeps the options apart from sbatch's own.
        if (name.starts_with("vm-")) spelling += ",--" + name.substr(3);
        auto* added = app.add_option_function<std::string>(
                             spelling, [&line, name](const std::string& text) { line.options[name] = text; },
                             fmt::format("{} [{}]", option.help, option.environment))
                          ->type_name(option.argument);
        if (option.argument_optional) added->expected(0, 1)->default_str("yes");
    }
    app.add_option("--config", line.config, "site configuration [TLC_CONFIG]")->type_name("FILE");
    app.add_option("--job-memory", line.memory, "memory of the VM, its buffer and QEMU together")
        ->type_name("SIZE");
    app.add_option("--cpus", line.cpus, "processors of the VM")->type_name("N")->check(CLI::Range(1, 1024));
    app.add_option("--restart", line.restart, "continue the job of this directory instead of starting one")
        ->type_name("DIR");
    app.add_option("--sequence", line.sequence, "with --restart: from this checkpoint, not the newest")
        ->type_name("N");
    app.add_flag("--check-config", line.check_config,
                 "check the site configuration, print it, do nothing else");
    app.add_option("command", line.command, "the job script and its arguments, after --");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : static_cast<int>(ErrorKind::usage);
    }
    const auto config = load_config(line.config.empty() ? variable("TLC_CONFIG").value_or("") : line.config);
    if (!config) return tell(config.error());
    if (line.check_config) {
        fmt::print("{}", describe(*config));
        const auto paths = check_paths(*config);
        return paths ? 0 : tell(paths.error());
    }
    auto job = local_job(line);
    if (!job) return tell(job.error());
    return finish(run_job(std::move(*job), *config));
}

} // namespace

int main(int argc, char** argv) {
    try {
        return variable("TLC_SCRIPT") && variable("TLC_JOB_REQUEST") ? run_under_slurm(argc, argv)
                                                                     : run_by_hand(argc, argv);
    } catch (const std::exception& error) {
        return tell(Error{ErrorKind::failed, error.what()});
    }
}
