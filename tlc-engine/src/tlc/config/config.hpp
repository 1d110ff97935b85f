// SPDX-License-Identifier: GPL-2.0-or-later
// The site's configuration: where the programs are, what a VM looks like, and the defaults for what a job
// does not say itself. Plain data, read once by load_config(); sizes are bytes, paths absolute.
#pragma once

#include <tlc/base/log.hpp>
#include <tlc/base/result.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace tlc {

inline constexpr const char* default_config_file = "/etc/tlc/tlc.toml";

enum class Accelerator { automatic, kvm, tcg };
const char* accelerator_name(Accelerator accelerator); // "auto", "kvm", "tcg"

enum class VmDriver { direct, libvirt };

struct SiteConfig {
    std::string source; // the file it was read from; empty: built-in defaults

    struct Paths {
        std::string qemu;
        std::vector<std::string> firmware; // directories, searched in this order
        std::string kernel;                // of the guest, PVH (an ELF vmlinux)
        std::string initramfs;
        std::string engine;
        std::string guest_image;    // empty: a job must give --vm-image
        std::string checkpoint_dir; // empty: a job must give --vm-checkpoint-dir
        std::string
            local_dir; // of the node: live disks and first copies of checkpoints; empty: checkpoint_dir
        std::string metrics_dir; // of the node: each job's metrics for the site's exporter; empty: none
    } paths;

    struct Vm {
        Accelerator accelerator = Accelerator::automatic;
        VmDriver driver = VmDriver::direct;
        std::string domain_template; // of the driver libvirt
        std::string cpu = "auto";
        std::string machine = "pc-q35-10.0";
        uint64_t overhead_bytes = uint64_t{256} << 20; // kept back from the job's memory for QEMU itself
    } vm;

    struct Job {
        unsigned keep = 2;
        uint64_t buffer_bytes = 0;       // 0: 1/16 of the VM's memory, at least 64 MiB
        std::string disk = "auto";       // or "btrfs", "reflink", "qcow2"
        std::string compress = "auto";   // or "always", "never"
        unsigned stall_seconds = 600;    // an engine with work that does nothing for so long is ended
        uint64_t restore_rate_bytes = 0; // a second, of what no VM waits for; 0: no limit
        uint64_t carry_rate_bytes = 0;   // a second, from local_dir to the checkpoint directory; 0: no limit
        uint64_t stage_limit_bytes = uint64_t{1} << 30;
        uint64_t work_disk_bytes = uint64_t{4} << 30;
    } job;

    // For jobs with --vm-checkpoint=auto, see docs/interval.md.
    struct Auto {
        std::chrono::seconds node_mtbf{std::chrono::hours(30 * 24)}; // between failures of one node
        double max_overhead = 0.5;            // of a job's time that its checkpoints may cost it
        std::chrono::seconds min_interval{0}; // 0: none
        std::chrono::seconds max_interval{0}; // 0: none
    } automatic;

    log::Level log_level = log::Level::info;
};

// The built-in configuration.
SiteConfig default_config();

// The text of a configuration file; `name` is the file's, for the errors. See load_config().
Result<SiteConfig> parse_config(std::string_view text, const std::string& name);

// Reads `path`. An empty path means /etc/tlc/tlc.toml, and the built-in defaults if that file does not exist.
// Unknown keys, wrong types and bad values are errors "file:line: key: what is wrong and what to write".
// Nothing but the file itself is looked at: whether the paths exist is for check_paths().
Result<SiteConfig> load_config(const std::filesystem::path& path = {});

// tlc-domain, beside tlc-engine.
std::filesystem::path domain_program(const SiteConfig& config);

// Whether what the paths name is there and may be used by the caller. The error names the key.
Status check_paths(const SiteConfig& config);

// The whole configuration as TOML, with the source as a comment; load_config reads it back to the same
// values.
std::string describe(const SiteConfig& config);

} // namespace tlc
