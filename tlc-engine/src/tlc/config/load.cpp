// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/files.hpp>
#include <tlc/config/config.hpp>

#include <array>

#include "toml_file.hpp"

namespace tlc {
namespace {

constexpr uint64_t mebibyte = uint64_t{1} << 20;

void take_all(TomlFile& file, SiteConfig& config) {
    file.take_path("paths.qemu", config.paths.qemu);
    file.take_paths("paths.firmware", config.paths.firmware);
    file.take_path("paths.kernel", config.paths.kernel);
    file.take_path("paths.initramfs", config.paths.initramfs);
    file.take_path("paths.engine", config.paths.engine);
    file.take_path("paths.guest_image", config.paths.guest_image);
    file.take_path("paths.checkpoint_dir", config.paths.checkpoint_dir);
    file.take_path("paths.local_dir", config.paths.local_dir);
    file.take_path("paths.metrics_dir", config.paths.metrics_dir);

    if (const auto choice = file.take_choice("vm.accel", {"auto", "kvm", "tcg"}))
        config.vm.accelerator = static_cast<Accelerator>(*choice);
    if (const auto choice = file.take_choice("vm.driver", {"direct", "libvirt"}))
        config.vm.driver = static_cast<VmDriver>(*choice);
    file.take_path("vm.domain_template", config.vm.domain_template);
    file.take_text("vm.cpu", config.vm.cpu);
    file.take_text("vm.machine", config.vm.machine);
    file.take_size("vm.overhead", config.vm.overhead_bytes, 32 * mebibyte);

    file.take_number("job.keep", config.job.keep, 2, 1000);
    file.take_size("job.buffer", config.job.buffer_bytes, 64 * mebibyte);
    constexpr std::array disk = {"auto", "btrfs", "reflink", "qcow2"};
    if (const auto choice = file.take_choice("job.disk", {disk[0], disk[1], disk[2], disk[3]}))
        config.job.disk = disk[*choice];
    constexpr std::array compress = {"auto", "always", "never"};
    if (const auto choice = file.take_choice("job.compress", {compress[0], compress[1], compress[2]}))
        config.job.compress = compress[*choice];
    file.take_size("job.carry_rate", config.job.carry_rate_bytes, mebibyte);
    file.take_number("job.stall_limit", config.job.stall_seconds, 10, 86400);
    file.take_size("job.restore_rate", config.job.restore_rate_bytes, mebibyte);
    file.take_size("job.stage_limit", config.job.stage_limit_bytes, mebibyte);
    file.take_size("job.work_disk", config.job.work_disk_bytes, 64 * mebibyte);

    file.take_duration("auto.node_mtbf", config.automatic.node_mtbf, std::chrono::minutes(1));
    file.take_share("auto.max_overhead", config.automatic.max_overhead);
    file.take_duration("auto.min_interval", config.automatic.min_interval, std::chrono::seconds(1));
    file.take_duration("auto.max_interval", config.automatic.max_interval, std::chrono::seconds(1));

    if (const auto choice = file.take_choice("log.level", {"debug", "info", "warning", "error"}))
        config.log_level = static_cast<log::Level>(*choice);
}

} // namespace

Result<SiteConfig> parse_config(std::string_view text, const std::string& name) {
    auto config = default_config();
    auto file = TomlFile::parse(text, name);
    if (!file) return in_context(file.error(), "configuration");
    take_all(*file, config);
    if (const auto good = file->finish(); !good) return in_context(good.error(), "configuration");
    if (config.vm.driver == VmDriver::libvirt && config.vm.domain_template.empty())
        return fail(ErrorKind::usage,
                    "configuration: {}: vm.driver is \"libvirt\"; name a domain XML as vm.domain_template",
                    name);
    config.source = name;
    return config;
}

Result<SiteConfig> load_config(const std::filesystem::path& path) {
    const bool chosen = !path.empty();
    const std::filesystem::path file_name = chosen ? path : default_config_file;
    std::error_code ignored;
    if (!chosen && !std::filesystem::exists(file_name, ignored)) return default_config();
    const auto text = read_text(file_name, size_t{1} << 20);
    if (!text) return in_context(text.error(), "configuration");
    return parse_config(*text, file_name.string());
}

} // namespace tlc
