// SPDX-License-Identifier: GPL-2.0-or-later
// The supervisor's checkpoints: an engine process takes them, then the manifest is written. A checkpoint that
// fails costs the job nothing but the time until it is tried again, as a full one.
#include <tlc/base/files.hpp>
#include <tlc/base/log.hpp>
#include <tlc/base/units.hpp>
#include <tlc/disk/image_files.hpp>
#include <tlc/supervisor/host_check.hpp>
#include <tlc/supervisor/supervisor.hpp>

#include <sys/stat.h>

namespace tlc {
void Supervisor::start_checkpoint() {
    next_checkpoint_ = timer_.begin(Clock::now());
    if (auto room = check_space(); !room) {
        log::warning("no checkpoint is taken now: {}", room.error().message);
        fail_checkpoint();
        tell_of_no_space(room.error());
        return;
    }
    auto claimed = levels_.claim();
    if (!claimed) {
        log::warning("no checkpoint can be made: {}", claimed.error().message);
        fail_checkpoint();
        return;
    }
    taking_ = *claimed;
    if (!engine_)
        if (auto started = start_engine(); !started) return abandon_checkpoint(started.error());
    engine_->ask({{"out", taking_->directory.string()},
                  {"live", life_->live().string()},
                  {"disk", site_.disk.kind()}});
}

Status Supervisor::start_engine() {
    std::vector<std::string> arguments{"serve",
                                       "--qmp",
                                       life_->vm().engine_socket().string(),
                                       "--buffer",
                                       fmt::format("{}", buffer_bytes_ >> 20),
                                       "--compress",
                                       site_.config.job.compress};
    if (site_.userfaultfd_device >= 0)
        arguments.insert(arguments.end(), {"--userfaultfd", machine_userfaultfd});
    TLC_TRY_ASSIGN(engine,
                   EngineProcess::start(site_.config.paths.engine, std::move(arguments), site_.log_fd));
    engine_ = std::move(engine);
    next_is_full_ = true;
    return {};
}

// Whether the next checkpoint will find room, perhaps after old ones have gone.
Status Supervisor::check_space() {
    const uint64_t needed = space_.needed(next_is_full_ || !engine_, life_->vm().resident_bytes());
    TLC_TRY_ASSIGN(free, free_space(site_.store.path()));
    if (free >= needed) return {};
    if (const auto pruned = levels_.prune(); pruned && *pruned > 0) {
        log::info("checkpoints removed for the next one: {}", *pruned);
        TLC_TRY_ASSIGN(now, free_space(site_.store.path()));
        free = now;
    }
    if (free >= needed) return {};
    return fail(ErrorKind::no_space, "it will need about {}, and {} are free", size_text(needed),
                size_text(free));
}

// The one reason the user can do something about; said where the user looks, once.
void Supervisor::tell_of_no_space(const Error& error) {
    if (error.kind != ErrorKind::no_space || std::exchange(told_of_no_space_, true)) return;
    fmt::print(stderr, "tlc-run: no checkpoint can be taken until there is space in {}: {}\n",
               site_.store.path().parent_path().string(), error.message);
}

// So that the first checkpoint does not wait for the engine's memory. What fails here fails again then.
void Supervisor::prepare_engine() {
    if (engine_ || life_->filler()) return;
    if (auto started = start_engine(); !started) log::warning("{}", started.error().message);
}

Status Supervisor::follow_engine() {
    auto answer = engine_->poll();
    if (!answer) return {};
    if (!taking_) {
        log::warning("the next checkpoint will be a full one: {}",
                     *answer ? "the checkpoint engine speaks unasked" : answer->error().message);
        engine_.reset();
        return {};
    }
    if (!*answer) {
        abandon_checkpoint(answer->error());
        if (answer->error().kind == ErrorKind::lost_writes) give_up_disk(answer->error());
        return {};
    }
    auto published = publish_report(**answer);
    if (published) {
        taking_.reset();
        return {};
    }
    if (published.error().kind == ErrorKind::busy)
        return in_context(published.error(),
                          "this copy of the job has been replaced by a newer one and stops");
    abandon_checkpoint(published.error());
    return {};
}

// The answer of an engine that may be another version than ours.
Status Supervisor::publish_report(const nlohmann::json& report) {
    try {
        return publish(report);
    } catch (const nlohmann::json::exception& error) {
        return fail("the checkpoint engine's answer is not understood ({}): is it of the same version?",
                    error.what());
    }
}

Status Supervisor::publish(const nlohmann::json& report) {
    Manifest manifest;
    manifest.sequence = taking_->sequence;
    manifest.epoch = life_->epoch();
    manifest.created = report.value("created", utc_text(std::chrono::system_clock::now()));
    manifest.cluster = site_.job.cluster;
    manifest.job_id = site_.job.id;
    manifest.memory = {"memory.h5", report.at("file_bytes"), report.at("digest"), report.at("identity"), {}};
    for (const auto& file : report.at("older")) {
        const auto name = file.value("file", "");
        TLC_TRY_ASSIGN(size, size_of_file(taking_->directory / name));
        manifest.memory.older[name] = size;
    }
    manifest.vm = life_->description();
    manifest.image = life_->image();
    manifest.job = {{"branch", branch_}, {"output_bases", site_.output_bases}, {"host", describe_host()}};
    manifest.timings = {report.value("pause_ms", 0.0), report.value("latency_ms", 0.0)};
    using Milliseconds = std::chrono::duration<double, std::milli>;
    next_checkpoint_ = timer_.learn(manifest.memory.older.empty(), Milliseconds(manifest.timings.pause_ms),
                                    Milliseconds(manifest.timings.latency_ms), Clock::now());
    if (auto learnt = timer_.memory(Clock::now()); !learnt.is_null())
        manifest.job[CheckpointTimer::key] = std::move(learnt);
    manifest.sizes = {report.value("ram_bytes", uint64_t{0}), report.value("stored_bytes", uint64_t{0}),
                      report.value("pages_saved", uint64_t{0}), report.value("pages_zero", uint64_t{0})};

    Manifest::Disk disk{std::string(site_.disk.kind()), "disk", {}, report.at("disk_sums"), {}};
    const auto frozen = taking_->directory / disk.path;
    TLC_TRY_ASSIGN(names, file_names(frozen));
    for (const auto& name : names) {
        TLC_TRY_ASSIGN(size, size_of_file(frozen / name));
        disk.files[name] = size;
    }
    manifest.console = {disk.files[MachineFiles::standard_output], disk.files[MachineFiles::standard_error],
                        disk.files[MachineFiles::control]};
    manifest.disk = std::move(disk);
    if (site_.two_levels()) TLC_TRY(site_.directory.fence(manifest.epoch));
    if (disk_failed()) return fail("the VM's disk fails");
    TLC_TRY(site_.store.publish(manifest));

    published_ = manifest.sequence;
    status_.published(manifest.timings.pause_ms);
    lives_without_progress_ = 0;
    told_of_no_space_ = false;
    next_is_full_ = !report.value("goes_on", false);
    (manifest.memory.older.empty() ? latency_of_full_ : latency_of_further_) =
        std::chrono::milliseconds(static_cast<int64_t>(manifest.timings.latency_ms));
    space_.learn(manifest.memory.older.empty(), manifest.memory.size);
    log::info("checkpoint={} pause_ms={:.1f} latency_ms={:.0f} stored={} ram={} kind={} epoch={}",
              manifest.sequence, manifest.timings.pause_ms, manifest.timings.latency_ms,
              size_text(manifest.sizes.stored_bytes), size_text(manifest.sizes.ram_bytes),
              manifest.memory.older.empty() ? "full" : "incremental", manifest.epoch);
    if (slurm_)
        slurm_->comment(fmt::format("checkpoint {} of {}, pause {:.0f} ms", manifest.sequence,
                                    manifest.created, manifest.timings.pause_ms));
    levels_.carry(manifest.sequence);
    const auto pruned = levels_.prune();
    if (!pruned) log::warning("old checkpoints stay: {}", pruned.error().message);
    if (site_.disk.kind() == "qcow2") merge_.begin_if_due(life_->vm().qmp(), life_->live());
    return {};
}

void Supervisor::fail_checkpoint() {
    status_.failed();
    next_checkpoint_ = timer_.failed(Clock::now());
}

// The engine goes with it: it would build on what is not there any more.
void Supervisor::abandon_checkpoint(const Error& error) {
    engine_.reset();
    const auto sequence = std::exchange(taking_, std::nullopt)->sequence;
    fail_checkpoint();
    log::warning("checkpoint {} was given up: {}", sequence, error.message);
    tell_of_no_space(error);
    if (auto removed = levels_.discard(sequence); !removed) log::warning("{}", removed.error().message);
}

} // namespace tlc
