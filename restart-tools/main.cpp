// SPDX-License-Identifier: GPL-2.0-or-later
// tlc-restart: looks at the checkpoints of jobs and continues a job from one of them by hand.
#include <CLI/CLI.hpp>

#include "commands.hpp"

namespace {

using namespace tlc;

struct Options {
    std::string root;
    std::string config;
    std::string job;
    std::optional<uint64_t> sequence;
    bool json = false;
    RestartOptions restart;
};

Status list(const Options& options) {
    TLC_TRY_ASSIGN(root, checkpoint_root(options.root, options.config));
    if (!options.job.empty()) {
        TLC_TRY_ASSIGN(job, find_job(root, options.job));
        return list_jobs({job}, options.json);
    }
    TLC_TRY_ASSIGN(jobs, list_job_directories(root));
    return list_jobs(jobs, options.json);
}

Result<JobDirectory> job_of(const Options& options) {
    if (options.job.find('/') != std::string::npos) return JobDirectory::open(options.job);
    TLC_TRY_ASSIGN(root, checkpoint_root(options.root, options.config));
    return find_job(root, options.job);
}

Status show(const Options& options) {
    TLC_TRY_ASSIGN(job, job_of(options));
    return show_job(job, options.sequence, options.json);
}

Status restart(Options& options) {
    TLC_TRY_ASSIGN(job, job_of(options));
    options.restart.sequence = options.sequence;
    options.restart.config = options.config;
    return restart_job(job, options.restart);
}

int run(int argc, char** argv) {
    Options options;
    CLI::App app{"Lists the checkpoints of jobs and continues jobs from them.", "tlc-restart"};
    app.set_version_flag("--version", TLC_VERSION);
    app.add_option("--checkpoint-dir", options.root,
                   "where the jobs' checkpoints are [TLC_VM_CHECKPOINT_DIR]")
        ->type_name("DIR");
    app.add_option("--config", options.config, "site configuration [TLC_CONFIG]")
        ->type_name("FILE")
        ->envname("TLC_CONFIG");
    app.require_subcommand(1);
    app.fallthrough();

    auto* list_command = app.add_subcommand("list", "checkpoints there are, newest first");
    list_command->add_option("job", options.job, "only this job's: job id, cluster-id or directory");
    list_command->add_flag("--json", options.json, "an array of objects");

    auto* show_command = app.add_subcommand("show", "one checkpoint in full: the newest, or --sequence");
    show_command->add_option("job", options.job, "job id, cluster-id or directory")->required();
    show_command->add_option("--sequence", options.sequence, "number of the checkpoint")->type_name("N");
    show_command->add_flag("--json", options.json, "one object");

    auto* run_command =
        app.add_subcommand("run", "continue a job: submit it again, or run it here with --local");
    run_command->add_option("job", options.job, "job id, cluster-id or directory")->required();
    run_command->add_option("--sequence", options.sequence, "from this checkpoint instead of the newest")
        ->type_name("N");
    run_command->add_flag("--local", options.restart.local, "on this machine, without Slurm");
    run_command->add_flag("--dry-run", options.restart.dry_run, "print the command, start nothing");
    run_command->add_option("sbatch-options", options.restart.sbatch_arguments,
                            "further options for sbatch, after --");

    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : static_cast<int>(ErrorKind::usage);
    }
    const auto done = list_command->parsed()   ? list(options)
                      : show_command->parsed() ? show(options)
                                               : restart(options);
    if (done) return 0;
    fmt::print(stderr, "tlc-restart: error: {}\n", done.error().message);
    return done.error().exit_code();
}

} // namespace

int main(int argc, char** argv) {
    try {
        return run(argc, argv);
    } catch (const std::exception& error) {
        fmt::print(stderr, "tlc-restart: error: {}\n", error.what());
        return 1;
    }
}
