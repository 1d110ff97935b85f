// SPDX-License-Identifier: GPL-2.0-or-later
// Supervises one job from its (re)start to its end: VM up or restored, output out, a checkpoint every
// interval, signals in, the VM restored in place if QEMU dies, exit status out. Runs in the calling thread,
// which must be the process's only one. docs/supervisor.md tells what happens in which case.
#pragma once

#include <tlc/slurm/watch.hpp>
#include <tlc/supervisor/chain_merge.hpp>
#include <tlc/supervisor/checkpoint_levels.hpp>
#include <tlc/supervisor/checkpoint_timer.hpp>
#include <tlc/supervisor/engine_process.hpp>
#include <tlc/supervisor/incarnation.hpp>
#include <tlc/supervisor/notices.hpp>
#include <tlc/supervisor/signals.hpp>
#include <tlc/supervisor/space_forecast.hpp>
#include <tlc/supervisor/status_teller.hpp>
#include <tlc/vm/qmp_answer.hpp>

#include <chrono>
#include <memory>
#include <optional>

namespace tlc {

class Supervisor {
  public:
    using Clock = std::chrono::steady_clock;

    // `branch` names a line of checkpoints begun by restarting from a chosen one; empty for the main line.
    Supervisor(const JobSite& site, const Manifest::Vm& wanted, uint64_t buffer_bytes, std::string branch)
        : site_(site), wanted_(wanted), buffer_bytes_(buffer_bytes), branch_(std::move(branch)) {}

    // Prerequisite: the signals of SignalQueue are blocked. Effect on success: the job has ended by itself;
    // its files are back. On an Error the job can be continued from its directory, and the message says how.
    Result<JobEnd> run(SignalQueue& signals);

  private:
    static constexpr unsigned most_lives_without_progress = 5;

    Result<JobEnd> supervise(SignalQueue& signals);
    Status begin(SignalQueue& signals);
    Status begin_life(SignalQueue& signals);
    Status check_progress(uint64_t epoch) const;
    Result<std::unique_ptr<Incarnation>> restore_newest(uint64_t epoch, SignalQueue& signals);
    Result<std::unique_ptr<Incarnation>> restore_patiently(uint64_t epoch, Checkpoint& checkpoint,
                                                           SignalQueue& signals);
    Result<std::vector<Checkpoint>> candidates() const;
    Status follow_guest();
    Status handle_signals(SignalQueue& signals);
    Status watch_slurm(SignalQueue& signals);
    void become_requeueable() const;
    Status await_earlier_copy(SignalQueue& signals);
    Status confirm_ours(SignalQueue& signals);
    Status still_ours(SignalQueue& signals);
    Status fence() const;
    Status follow_slurm();
    void notice(const SlurmJob& job);
    std::chrono::milliseconds notice_needed() const;
    Clock::time_point grace_end(const SlurmJob& job) const;
    bool begin_leaving(Clock::time_point since);
    Status follow_leaving(bool vm_ended);
    Status leave();
    bool last_checkpoint_fits() const;
    bool has_progressed() const;
    Status handle_vm_end(const ExitStatus& status, SignalQueue& signals);
    void start_checkpoint();
    void prepare_engine();
    Status start_engine();
    Status follow_engine();
    void follow_filler();
    void take_filling(const Result<nlohmann::json>& answer);
    Status publish_report(const nlohmann::json& report);
    Status publish(const nlohmann::json& report);
    void fail_checkpoint();
    void abandon_checkpoint(const Error& error);
    Status check_space();
    void tell_of_no_space(const Error& error);
    Status follow_carrier();
    void watch_vm();
    void tell_status();
    const char* state() const;
    void end_engine(std::string_view why);
    void follow_io_error(const VmStatus& vm);
    bool disk_failed();
    void give_up_disk(const Error& error);
    bool disk_is_whole();
    Result<JobEnd> finish(SignalQueue& signals);

    const JobSite& site_;
    const Manifest::Vm wanted_;
    const uint64_t buffer_bytes_;
    const std::string branch_;
    Notices notices_;
    std::unique_ptr<SlurmWatch> slurm_; // under Slurm
    std::vector<uint64_t> epochs_;      // claimed by this object
    std::unique_ptr<Incarnation> life_;
    std::optional<EngineProcess> engine_;     // as soon as the script runs in complete memory
    std::optional<ClaimedCheckpoint> taking_; // the checkpoint it was asked for
    ChainMerge merge_;                        // of this life's images
    CheckpointLevels levels_{site_};
    std::filesystem::path restored_; // directory of this life's checkpoint, if it is of one
    bool memory_lost_ = false;       // of this life's VM
    CheckpointTimer timer_{site_.job.request, site_.config.automatic, wanted_.memory_bytes};
    Clock::time_point next_checkpoint_;
    Clock::time_point next_look_;
    bool disk_waits_ = false;       // QEMU stopped the VM because it could not read or write
    unsigned disk_failures_ = 0;    // looks in a row that found it so, for another reason than lack of space
    bool disk_lost_ = false;        // what this life's VM has written is not all there
    bool told_of_no_space_ = false; // once in a row of failed checkpoints
    SpaceForecast space_;
    bool next_is_full_ = true;
    Clock::time_point last_running_;   // when QEMU said so, or there was no engine that could hold it
    Clock::time_point last_heartbeat_; // of the guest
    unsigned lives_without_progress_ = 0;
    bool started_ = false;      // the script runs
    bool interrupted_ = false;  // TERM came while a checkpoint was restored
    bool asked_to_end_ = false; // TERM has come: the checkpoints are somebody's only way on
    // Until the deadline a last checkpoint is tried.
    struct Leaving {
        Fate fate = Fate::requeued;
        Clock::time_point deadline;
        bool by_notice = false; // seen before TERM has come
        bool tried = false;     // the checkpoint was begun, or cannot be
        std::optional<uint64_t> published_before;
    };
    std::optional<Leaving> leaving_;
    bool noticed_ = false;   // that the end comes, before TERM
    bool suspended_ = false; // the lease is lost: the VM stands still
    StatusTeller status_{site_};
    std::optional<uint64_t> published_; // the last checkpoint by this object
    bool told_of_time_limit_ = false;   // the script knows: what it is from now on is not worth a checkpoint
    std::optional<std::chrono::milliseconds> latency_of_full_, latency_of_further_; // the last ones'
    std::optional<JobEnd> end_;
    Clock::time_point end_seen_;
};

} // namespace tlc
