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
    bool watch = false;
    LogOptions log;
    std::string log_from = "debug";
    VerifyOptions verify;
    PruneOptions prune;
    RestartOptions restart;
    ExportOptions exporting;
    uint64_t diff_a = 0;
    uint64_t diff_b = 0;
};

Result<JobDirectory> job_of(const Options& options) {
    if (options.job.find('/') != std::string::npos) return JobDirectory::open(options.job);
    TLC_TRY_ASSIGN(root, checkpoint_root(options.root, options.config));
    return find_job(root, options.job);
}

// The one that was named, or all.
Result<std::vector<JobDirectory>> jobs_of(const Options& options) {
    if (!options.job.empty()) {
        TLC_TRY_ASSIGN(job, job_of(options));
        return std::vector{job};
    }
    TLC_TRY_ASSIGN(root, checkpoint_root(options.root, options.config));
    return list_job_directories(root);
}

Status list(const Options& options) {
    TLC_TRY_ASSIGN(jobs, jobs_of(options));
    return list_jobs(jobs, options.json);
}

Status verify(Options& options) {
    TLC_TRY_ASSIGN(jobs, jobs_of(options));
    options.verify.sequence = options.sequence;
    options.verify.json = options.json;
    return verify_jobs(jobs, options.verify);
}

Status prune(Options& options) {
    TLC_TRY_ASSIGN(jobs, jobs_of(options));
    options.prune.json = options.json;
    return prune_jobs(jobs, options.prune);
}

Status show(const Options& options) {
    TLC_TRY_ASSIGN(job, job_of(options));
    return show_job(job, options.sequence, options.config, options.json);
}

Status status(const Options& options) {
    TLC_TRY_ASSIGN(job, job_of(options));
    return show_status(job, options.watch, options.json);
}

Status log_of(Options& options) {
    TLC_TRY_ASSIGN(job, job_of(options));
    options.log.from = *log::parse_level(options.log_from);
    options.log.json = options.json;
    return show_log(job, options.log);
}

Status restart(Options& options) {
    TLC_TRY_ASSIGN(job, job_of(options));
    options.restart.sequence = options.sequence;
    options.restart.config = options.config;
    return restart_job(job, options.restart);
}

Status export_one(const Options& options) {
    // Also what tlc-engine save has written, of a VM that is no job's.
    if (options.job.find('/') != std::string::npos && std::filesystem::exists(options.job + "/memory.h5")) {
        if (options.sequence)
            return fail(ErrorKind::usage, "{} is one checkpoint: no --sequence", options.job);
        return export_checkpoint(options.job, options.exporting, options.json);
    }
    TLC_TRY_ASSIGN(job, job_of(options));
    TLC_TRY_ASSIGN(checkpoint, find_checkpoint(job, options.sequence));
    if (checkpoint.error) return tl::unexpected(*checkpoint.error);
    return export_checkpoint(checkpoint.directory, options.exporting, options.json);
}

Status diff(const Options& options) {
    TLC_TRY_ASSIGN(job, job_of(options));
    return diff_checkpoints(job, options.diff_a, options.diff_b, options.json);
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

    auto* status_command = app.add_subcommand(
        "status", "how a running job is doing: its last and next checkpoint, and what would be lost now");
    status_command->add_option("job", options.job, "job id, cluster-id or directory")->required();
    status_command->add_flag("--watch", options.watch, "again every two seconds until the job ends");
    status_command->add_flag("--json", options.json, "one object; with --watch one a line");

    auto* log_command = app.add_subcommand("log", "what happened to a job: its log, of all its starts");
    log_command->add_option("job", options.job, "job id, cluster-id or directory")->required();
    log_command->add_flag("--follow,-f", options.log.follow, "wait for further lines until the job ends");
    log_command->add_option("--level", options.log_from, "leave out what weighs less")
        ->check(CLI::IsMember({"debug", "info", "warning", "error"}))
        ->type_name("debug|info|warning|error");
    log_command->add_flag("--json", options.json, "one object a line: time, level, message, text, fields");

    auto* verify_command = app.add_subcommand(
        "verify", "read everything a checkpoint is made of and name what is broken: of each job the newest");
    verify_command->add_option("job", options.job, "only this job's: job id, cluster-id or directory");
    auto* one = verify_command->add_option("--sequence", options.sequence, "this one")->type_name("N");
    verify_command->add_flag("--all", options.verify.all, "every checkpoint")->excludes(one);
    verify_command->add_flag("--json", options.json, "an array of objects");

    auto* prune_command =
        app.add_subcommand("prune", "tell which checkpoints are superfluous, and with --yes remove them");
    prune_command->add_option("job", options.job, "only this job's: job id, cluster-id or directory");
    auto* keep = prune_command
                     ->add_option("--keep", options.prune.keep,
                                  "whole checkpoints that stay (default: as many as the job itself keeps)")
                     ->type_name("N")
                     ->check(CLI::Range(1, 1000));
    prune_command->add_flag("--ended", options.prune.ended, "all checkpoints of jobs that have ended")
        ->excludes(keep);
    prune_command->add_flag("--yes", options.prune.yes, "remove them");
    prune_command->add_flag("--json", options.json, "one object");

    auto* run_command =
        app.add_subcommand("run", "continue a job: submit it again, or run it here with --local");
    run_command->add_option("job", options.job, "job id, cluster-id or directory")->required();
    run_command->add_option("--sequence", options.sequence, "from this checkpoint instead of the newest")
        ->type_name("N");
    run_command->add_flag("--local", options.restart.local, "on this machine, without Slurm");
    run_command->add_flag("--dry-run", options.restart.dry_run, "print the command, start nothing");
    run_command->add_option("sbatch-options", options.restart.sbatch_arguments,
                            "further options for sbatch, after --");

    auto* export_command =
        app.add_subcommand("export", "write a checkpoint's memory as a file for QEMU, or for gdb and crash");
    export_command
        ->add_option("job", options.job,
                     "job id, cluster-id or directory; or a directory (with a / in its name) that holds a "
                     "memory.h5, as tlc-engine save writes it")
        ->required();
    export_command->add_option("--sequence", options.sequence, "this checkpoint instead of the newest")
        ->type_name("N");
    export_command
        ->add_option("--format", options.exporting.format,
                     "qemu: a migration stream, which a QEMU of the same machine without our patches resumes "
                     "(-incoming file:FILE); elf: a core file of its physical memory and registers")
        ->check(CLI::IsMember({"qemu", "elf"}))
        ->type_name("qemu|elf")
        ->required();
    export_command->add_option("--out", options.exporting.out, "the file, which must not exist yet")
        ->type_name("FILE")
        ->required();
    export_command->add_flag("--json", options.json, "one object: file, format, bytes");

    auto* diff_command = app.add_subcommand("diff", "what changed from one checkpoint of a job to another");
    diff_command->add_option("job", options.job, "job id, cluster-id or directory")->required();
    diff_command->add_option("a", options.diff_a, "number of the one checkpoint")->required();
    diff_command->add_option("b", options.diff_b, "number of the other")->required();
    diff_command->add_flag("--json", options.json, "one object");

    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : static_cast<int>(ErrorKind::usage);
    }
    const auto done = list_command->parsed()     ? list(options)
                      : show_command->parsed()   ? show(options)
                      : status_command->parsed() ? status(options)
                      : log_command->parsed()    ? log_of(options)
                      : verify_command->parsed() ? verify(options)
                      : prune_command->parsed()  ? prune(options)
                      : export_command->parsed() ? export_one(options)
                      : diff_command->parsed()   ? diff(options)
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
