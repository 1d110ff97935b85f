// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/process.hpp>
#include <tlc/supervisor/host_check.hpp>
#include <tlc/supervisor/incarnation.hpp>
#include <tlc/vm/accelerator.hpp>

namespace tlc {
namespace {

Status check_image(const Manifest::Image& wanted) {
    const auto found = describe_image(wanted.path);
    if (!found)
        return fail(ErrorKind::incompatible, "the checkpoint needs the guest image {}: {}", wanted.path,
                    found.error().message);
    if (*found != wanted)
        return fail(
            ErrorKind::incompatible,
            "the guest image {} is not the one the job was started with (its size or date differs); put the "
            "old one back to continue this job",
            wanted.path);
    return {};
}

// Only such a guest depends on the host's own processor.
bool sees_host_cpu(const Manifest& manifest) {
    return manifest.vm.accel == "kvm" && manifest.vm.cpu == "host";
}

} // namespace

Status check_cpu(const Manifest& manifest, const HostCpu& here) {
    if (!sees_host_cpu(manifest)) return {};
    const auto host = manifest.job.find("host");
    if (host == manifest.job.end() || !host->is_object()) return {};
    const auto missing = missing_flags(here, host->value("cpu_flags", ""));
    if (missing.empty()) return {};
    return fail(
        ErrorKind::incompatible,
        "the VM saw a processor ({}) with flags that this one ({}) lacks: {}; restore it on a node that "
        "has them, or name a common model as vm.cpu in tlc.toml for jobs to come",
        host->value("cpu_model", "unknown"), here.model, missing);
}

nlohmann::json describe_host() {
    const auto cpu = read_host_cpu();
    if (!cpu) return nlohmann::json::object();
    return {{"cpu_model", cpu->model}, {"cpu_flags", fmt::format("{}", fmt::join(cpu->flags, " "))}};
}

Status check_host(const Manifest& manifest, int kvm_fd) {
    TLC_TRY(check_image(manifest.image));
    TLC_TRY(choose_accelerator(manifest.vm.accel, kvm_fd));
    if (!sees_host_cpu(manifest)) return {};
    TLC_TRY_ASSIGN(here, read_host_cpu());
    return check_cpu(manifest, here);
}

Status check_host_and_qemu(const Manifest& manifest, const SiteConfig& config, int kvm_fd) {
    TLC_TRY(check_host(manifest, kvm_fd));
    auto types = run({config.paths.qemu, "-machine", "help"});
    if (!types || types->status.code != 0)
        return fail(ErrorKind::incompatible, "QEMU does not run: {}",
                    types ? types->text.substr(0, 200) : types.error().message);
    if (types->text.find("\n" + manifest.vm.machine + " ") == std::string::npos)
        return fail(ErrorKind::incompatible, "{} has no machine type {} (the checkpoint is of QEMU {})",
                    config.paths.qemu, manifest.vm.machine, manifest.vm.qemu_version);
    return {};
}

} // namespace tlc
