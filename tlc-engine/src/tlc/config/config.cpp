// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/log_line.hpp>
#include <tlc/config/config.hpp>

#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <unistd.h>

namespace tlc {
namespace {

std::string quoted(const std::string& text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
            out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
        else
            out += c;
    }
    return out + '"';
}

std::string size_value(uint64_t bytes) {
    constexpr std::array<char, 4> units = {'T', 'G', 'M', 'K'};
    uint64_t unit = uint64_t{1} << 40;
    for (const char name : units) {
        if (bytes % unit == 0) return fmt::format("\"{}{}\"", bytes / unit, name);
        unit >>= 10;
    }
    return fmt::format("{}", bytes);
}

// In the greatest unit that parse_duration reads and that fits.
std::string duration_value(std::chrono::seconds duration) {
    const auto seconds = duration.count();
    for (const auto& [unit, name] : {std::pair(86400, 'd'), std::pair(3600, 'h'), std::pair(60, 'm')})
        if (seconds % unit == 0) return fmt::format("\"{}{}\"", seconds / unit, name);
    return fmt::format("\"{}s\"", seconds);
}

Status check_path(const SiteConfig& config, const char* key, const std::string& path, int access,
                  bool directory) {
    if (path.empty()) return {};
    const std::string from = config.source.empty() ? std::string("built-in configuration") : config.source;
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0)
        return fail("{}: paths.{}: cannot find {} ({})", from, key, path, std::strerror(errno));
    if (S_ISDIR(info.st_mode) != directory)
        return fail("{}: paths.{}: {} is {}a directory", from, key, path, directory ? "not " : "");
    if (::access(path.c_str(), access) != 0)
        return fail("{}: paths.{}: you may not {} {}", from, key,
                    access == X_OK   ? "execute"
                    : access == R_OK ? "read"
                                     : "write into",
                    path);
    return {};
}

} // namespace

const char* accelerator_name(Accelerator accelerator) {
    switch (accelerator) {
    case Accelerator::kvm:
        return "kvm";
    case Accelerator::tcg:
        return "tcg";
    case Accelerator::automatic:
        break;
    }
    return "auto";
}

std::filesystem::path domain_program(const SiteConfig& config) {
    return std::filesystem::path(config.paths.engine).parent_path() / "tlc-domain";
}

SiteConfig default_config() {
    SiteConfig config;
    config.paths.qemu = TLC_LIBEXECDIR "/tlc/qemu-system-x86_64";
    config.paths.firmware = {TLC_DATADIR "/tlc/firmware", "/usr/share/seabios", "/usr/share/qemu"};
    config.paths.kernel = TLC_DATADIR "/tlc/vmlinux";
    config.paths.initramfs = TLC_DATADIR "/tlc/initramfs.cpio";
    config.paths.engine = TLC_BINDIR "/tlc-engine";
    return config;
}

Status check_paths(const SiteConfig& config) {
    TLC_TRY(check_path(config, "qemu", config.paths.qemu, X_OK, false));
    TLC_TRY(check_path(config, "kernel", config.paths.kernel, R_OK, false));
    TLC_TRY(check_path(config, "initramfs", config.paths.initramfs, R_OK, false));
    TLC_TRY(check_path(config, "engine", config.paths.engine, X_OK, false));
    TLC_TRY(check_path(config, "guest_image", config.paths.guest_image, R_OK, false));
    TLC_TRY(check_path(config, "local_dir", config.paths.local_dir, W_OK, true));
    TLC_TRY(check_path(config, "metrics_dir", config.paths.metrics_dir, W_OK, true));
    if (!config.vm.domain_template.empty() && ::access(config.vm.domain_template.c_str(), R_OK) != 0)
        return fail("{}: vm.domain_template: you may not read {} ({})", config.source,
                    config.vm.domain_template, std::strerror(errno));
    return check_path(config, "checkpoint_dir", config.paths.checkpoint_dir, W_OK, true);
}

std::string describe(const SiteConfig& config) {
    std::string firmware;
    for (const auto& directory : config.paths.firmware)
        firmware += (firmware.empty() ? "" : ", ") + quoted(directory);
    std::string text =
        config.source.empty() ? "# built-in configuration\n" : fmt::format("# read from {}\n", config.source);
    text += fmt::format("[paths]\nqemu = {}\nfirmware = [{}]\nkernel = {}\ninitramfs = {}\nengine = {}\n",
                        quoted(config.paths.qemu), firmware, quoted(config.paths.kernel),
                        quoted(config.paths.initramfs), quoted(config.paths.engine));
    if (!config.paths.guest_image.empty())
        text += fmt::format("guest_image = {}\n", quoted(config.paths.guest_image));
    if (!config.paths.checkpoint_dir.empty())
        text += fmt::format("checkpoint_dir = {}\n", quoted(config.paths.checkpoint_dir));
    if (!config.paths.local_dir.empty())
        text += fmt::format("local_dir = {}\n", quoted(config.paths.local_dir));
    if (!config.paths.metrics_dir.empty())
        text += fmt::format("metrics_dir = {}\n", quoted(config.paths.metrics_dir));
    text += fmt::format("\n[vm]\naccel = \"{}\"\ncpu = {}\nmachine = {}\noverhead = {}\n",
                        accelerator_name(config.vm.accelerator), quoted(config.vm.cpu),
                        quoted(config.vm.machine), size_value(config.vm.overhead_bytes));
    text += fmt::format("driver = \"{}\"\n", config.vm.driver == VmDriver::libvirt ? "libvirt" : "direct");
    if (!config.vm.domain_template.empty())
        text += fmt::format("domain_template = {}\n", quoted(config.vm.domain_template));
    text += fmt::format("\n[job]\nkeep = {}\n", config.job.keep);
    if (config.job.buffer_bytes > 0)
        text += fmt::format("buffer = {}\n", size_value(config.job.buffer_bytes));
    if (config.job.restore_rate_bytes > 0)
        text += fmt::format("restore_rate = {}\n", size_value(config.job.restore_rate_bytes));
    if (config.job.carry_rate_bytes > 0)
        text += fmt::format("carry_rate = {}\n", size_value(config.job.carry_rate_bytes));
    text += fmt::format("stall_limit = {}\n", config.job.stall_seconds);
    text += fmt::format("disk = \"{}\"\ncompress = \"{}\"\nstage_limit = {}\nwork_disk = {}\n",
                        config.job.disk, config.job.compress, size_value(config.job.stage_limit_bytes),
                        size_value(config.job.work_disk_bytes));
    text += fmt::format("\n[auto]\nnode_mtbf = {}\nmax_overhead = {}\n",
                        duration_value(config.automatic.node_mtbf), config.automatic.max_overhead);
    if (config.automatic.min_interval.count() > 0)
        text += fmt::format("min_interval = {}\n", duration_value(config.automatic.min_interval));
    if (config.automatic.max_interval.count() > 0)
        text += fmt::format("max_interval = {}\n", duration_value(config.automatic.max_interval));
    return text + fmt::format("\n[log]\nlevel = \"{}\"\n", log::level_name(config.log_level));
}

} // namespace tlc
