// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/files.hpp>
#include <tlc/base/log.hpp>
#include <tlc/disk/image_files.hpp>
#include <tlc/disk/packed_disk.hpp>
#include <tlc/supervisor/guest_setup.hpp>
#include <tlc/supervisor/host_check.hpp>
#include <tlc/supervisor/incarnation.hpp>
#include <tlc/vm/domain.hpp>

#include <sys/stat.h>

#include <fcntl.h>
#include <unistd.h>

namespace tlc {
namespace {

// `quiet` and `cryptomgr.notests` shorten the boot; a panic ends QEMU, which runs with -no-reboot.
constexpr const char* kernel_command_line = "console=ttyS0 quiet cryptomgr.notests panic=-1 mitigations=off";
constexpr auto load_limit = std::chrono::hours(2);

// Removes a live disk unless told that it is in use.
class LiveGuard {
  public:
    LiveGuard(Disk& disk, std::filesystem::path path) : disk_(disk), path_(std::move(path)) {}
    LiveGuard(const LiveGuard&) = delete;
    LiveGuard& operator=(const LiveGuard&) = delete;
    ~LiveGuard() {
        if (path_.empty()) return;
        if (auto removed = disk_.remove(path_); !removed) log::warning("{}", removed.error().message);
    }
    void keep() { path_.clear(); }

  private:
    Disk& disk_;
    std::filesystem::path path_;
};

} // namespace

bool merged_output() { return same_file(STDOUT_FILENO, STDERR_FILENO); }

Result<Manifest::Image> describe_image(const std::filesystem::path& path) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0)
        return fail_errno(errno, fmt::format("cannot look at {}", path.string()));
    Manifest::Image image;
    image.path = path.string();
    image.size = static_cast<uint64_t>(info.st_size);
    image.mtime_ns = int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec;
    return image;
}

Machine Incarnation::machine(const JobSite& site) const {
    Machine machine;
    machine.qemu = site.config.paths.qemu;
    for (const auto& directory : site.config.paths.firmware)
        machine.firmware.emplace_back(directory);
    machine.accelerator = description_.accel;
    machine.type = description_.machine;
    machine.cpu = description_.cpu;
    machine.vcpus = static_cast<unsigned>(description_.vcpus);
    machine.memory_bytes = description_.memory_bytes;
    machine.files = live_;
    return machine;
}

Status Incarnation::start(const JobSite& site, std::optional<Boot> boot) {
    auto machine = this->machine(site);
    TLC_TRY_ASSIGN(platform, read_platform(site.directory.platform_file()));
    machine.platform = std::move(platform);
    if (const auto cpu = cpu_of_platform(machine.platform); !cpu.empty()) description_.cpu = cpu;
    TLC_TRY_ASSIGN(root, newest_image(live_, "root"));
    TLC_TRY_ASSIGN(work, newest_image(live_, "work"));
    machine.root = root.file;
    machine.work = work.file;
    machine.sockets = site.runtime;
    machine.console = site.directory.path() / fmt::format("console-{}.log", epoch_);
    machine.boot = std::move(boot);
    machine.userfaultfd_device = site.userfaultfd_device;
    machine.kvm_device = site.kvm_device;
    description_.qemu_arguments = qemu_command_line(machine);
    TLC_TRY_ASSIGN(vm, Vm::start(machine, site.directory.path() / fmt::format("qemu-{}.log", epoch_)));
    vm_ = std::move(vm);
    description_.qemu_version = vm_->qmp().qemu_version();

    outputs_.emplace_back(live_ / MachineFiles::standard_output, STDOUT_FILENO, site.output_bases[0]);
    if (!merged_output())
        outputs_.emplace_back(live_ / MachineFiles::standard_error, STDERR_FILENO, site.output_bases[1]);
    TLC_TRY_ASSIGN(control, ControlReader::open(live_ / MachineFiles::control));
    control_ = std::move(control);
    return {};
}

Result<std::unique_ptr<Incarnation>> Incarnation::boot(const JobSite& site, uint64_t epoch,
                                                       const Manifest::Vm& vm) {
    const auto live = site.store.live_directory(epoch);
    std::unique_ptr<Incarnation> life(new Incarnation(epoch, live, vm));
    std::vector<std::string> platform;
    if (site.config.vm.driver == VmDriver::libvirt) {
        TLC_TRY_ASSIGN(described, platform_from_domain(domain_program(site.config),
                                                       site.config.vm.domain_template, life->machine(site)));
        platform = std::move(described);
    }
    TLC_TRY(write_platform(site.directory.platform_file(), platform));
    TLC_TRY(site.disk.create_live(live));
    LiveGuard guard(site.disk, live);
    TLC_TRY_ASSIGN(image, describe_image(site.image));
    life->image_ = std::move(image);
    TLC_TRY(prepare_root_disk(site.image, live / MachineFiles::root));
    TLC_TRY(prepare_work_disk(site.job, site.config, live / MachineFiles::work));
    const Boot boot{site.config.paths.kernel, site.runtime / "initramfs", kernel_command_line};
    TLC_TRY(prepare_initramfs(site.job, site.config, merged_output(), boot.initramfs));
    TLC_TRY(life->start(site, boot));
    guard.keep();
    return life;
}

Result<std::unique_ptr<Incarnation>> Incarnation::restore(const JobSite& site, uint64_t epoch,
                                                          const Checkpoint& checkpoint) {
    if (checkpoint.error) return tl::unexpected(*checkpoint.error);
    const Manifest& manifest = *checkpoint.manifest;
    if (!manifest.disk) return fail(ErrorKind::damaged, "checkpoint {} has no disk", checkpoint.sequence);
    const bool packed = manifest.disk->kind == packed_kind;
    if (!packed && !is_disk_kind(manifest.disk->kind))
        return fail(
            ErrorKind::incompatible,
            "checkpoint {} has a disk of the kind \"{}\", which this program does not know: use a newer "
            "one",
            checkpoint.sequence, manifest.disk->kind);
    TLC_TRY(check_host(manifest, site.kvm_device));
    const auto live = site.store.live_directory(epoch);
    TLC_TRY(packed ? site.disk.create_live(live)
                   : site.disk.restore(checkpoint.directory / manifest.disk->path, live));
    LiveGuard guard(site.disk, live);
    if (packed) {
        TLC_TRY_ASSIGN(index, read_packed_index(checkpoint.directory, manifest.disk->sums));
        TLC_TRY(unpack_disk(checkpoint.directory, index, live));
    }
    std::unique_ptr<Incarnation> life(new Incarnation(epoch, live, manifest.vm));
    life->image_ = manifest.image;
    TLC_TRY(life->start(site, std::nullopt));
    std::vector<std::string> arguments{
        "load",  "--qmp", life->vm().engine_socket().string(), "--from", checkpoint.directory.string(),
        "--json"};
    if (site.config.job.restore_rate_bytes > 0)
        arguments.insert(arguments.end(),
                         {"--prefetch-rate", fmt::format("{}", site.config.job.restore_rate_bytes >> 20)});
    if (site.userfaultfd_device >= 0)
        arguments.insert(arguments.end(), {"--userfaultfd", machine_userfaultfd});
    TLC_TRY_ASSIGN(engine, EngineProcess::start(site.config.paths.engine, std::move(arguments), site.log_fd));
    auto answer = engine.wait(load_limit);
    if (!answer) return tl::unexpected(answer.error());
    if (answer->contains("running")) life->filler_ = std::move(engine);
    guard.keep();
    return life;
}

Status Incarnation::reconcile_output(bool shown) {
    for (auto& output : outputs_)
        TLC_TRY(output.reconcile(shown));
    return {};
}

Status Incarnation::pump_output() {
    for (auto& output : outputs_)
        TLC_TRY(output.pump());
    return {};
}

Status Incarnation::finish_output() {
    for (auto& output : outputs_)
        TLC_TRY(output.finish());
    return {};
}

} // namespace tlc
