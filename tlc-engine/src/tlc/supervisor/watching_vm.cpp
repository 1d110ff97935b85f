// SPDX-License-Identifier: GPL-2.0-or-later
// The VM between checkpoints: whether it runs, whether its engine holds it, what its disks do.
#include <tlc/base/files.hpp>
#include <tlc/base/log.hpp>
#include <tlc/disk/disk.hpp>
#include <tlc/supervisor/supervisor.hpp>

namespace tlc {
namespace {

// A checkpoint stops the VM for milliseconds; an engine that holds it this long is broken.
constexpr auto longest_pause = std::chrono::seconds(20);
// The guest's agent speaks every ten seconds, unless the guest waits for memory that the engine guards.
constexpr auto longest_silence = std::chrono::seconds(40);

// A request that fails so often while the file system takes writes will never succeed: QEMU itself refuses to
// sync a file of which the kernel has lost something.
constexpr unsigned most_disk_failures = 3;
constexpr size_t trial_bytes = size_t{1} << 20;

} // namespace

void Supervisor::watch_vm() {
    if (Clock::now() < next_look_) return;
    next_look_ = Clock::now() + std::chrono::seconds(1);
    const std::chrono::seconds stall_limit(site_.config.job.stall_seconds);
    auto& qmp = life_->vm().qmp();
    const auto status = qmp.execute("query-status", nlohmann::json::object(), std::chrono::seconds(5));
    // Without an answer QEMU may itself wait for the engine.
    const VmStatus vm = status ? vm_status_in(*status) : VmStatus{false, false};
    const bool running = vm.running;

    follow_io_error(vm);
    if (disk_waits_) last_heartbeat_ = Clock::now();
    if (!engine_ || running || disk_waits_) last_running_ = Clock::now();
    if (auto& filler = life_->filler(); filler && filler->stalled(stall_limit)) {
        take_filling(fail("the engine that brings it has neither computed nor moved data for {} s",
                          stall_limit.count()));
        life_->vm().terminate();
    }
    if (!started_ && Clock::now() - last_heartbeat_ > stall_limit) {
        log::error("the guest has given no sign of life for {} s and has not begun the job; it is ended",
                   stall_limit.count());
        return life_->vm().terminate();
    }
    if (!engine_) return;
    if (Clock::now() - last_running_ > longest_pause)
        end_engine("has held the VM for too long");
    else if (started_ && !end_ && Clock::now() - last_heartbeat_ > longest_silence)
        end_engine("may hold up the guest, which gives no sign of life");
    else if (taking_ && engine_->stalled(stall_limit))
        end_engine("has neither computed nor moved data for too long");
}

// QEMU stops a VM whose disk cannot be read or written. It may go on as soon as there is room, or the file
// system is back.
void Supervisor::follow_io_error(const VmStatus& vm) {
    if (disk_waits_ && vm.running) log::info("the VM goes on");
    if (!vm.io_error) {
        // Without an answer nothing is known of it.
        if (vm.running) disk_failures_ = 0;
        disk_waits_ = disk_waits_ && !vm.running;
        return;
    }
    const bool failed = disk_failed();
    if (!std::exchange(disk_waits_, true))
        log::error("the VM waits: its disks in {} cannot be {}", life_->live().string(),
                   failed ? "read or written" : "written; free some space there");
    disk_failures_ = failed ? disk_failures_ + 1 : 0;
    if (disk_failures_ >= most_disk_failures) {
        // Of the VM's own directory a snapshot may be taken just now.
        if (try_writing(site_.store.path(), trial_bytes))
            return give_up_disk({ErrorKind::lost_writes, "QEMU's reads or writes still fail"});
        disk_failures_ = 0;
    }
    (void)life_->vm().qmp().execute("cont");
}

bool Supervisor::disk_failed() {
    const auto drives =
        life_->vm().qmp().execute("query-block", nlohmann::json::object(), std::chrono::seconds(5));
    return drives && io_failed_in(*drives);
}

// The VM is ended, and nothing that it has written since its last checkpoint is used any more.
void Supervisor::give_up_disk(const Error& error) {
    if (std::exchange(disk_lost_, true)) return;
    notices_.add("the VM's disk in {} has lost what was written to it, the job goes back to its last "
                 "checkpoint: {}",
                 life_->live().string(), error.message);
    life_->vm().terminate();
}

// Before what is on the disk counts.
bool Supervisor::disk_is_whole() {
    if (disk_lost_) return false;
    const auto written = check_written(life_->live());
    if (written || written.error().kind != ErrorKind::lost_writes) return true;
    give_up_disk(written.error());
    return false;
}

// The VM runs on when its engine is gone.
void Supervisor::end_engine(std::string_view why) {
    log::error("the checkpoint engine {}; it is ended", why);
    last_running_ = last_heartbeat_ = Clock::now();
    if (taking_) return abandon_checkpoint(Error{ErrorKind::failed, "its engine did not go on"});
    engine_.reset();
}

} // namespace tlc
