// SPDX-License-Identifier: GPL-2.0-or-later
// Loads a checkpoint's memory and devices into a QEMU that waits for it (-incoming defer, the same machine).
// Prerequisites: the disks are in place; `from` holds memory.h5, and manifest.json if it was published.
// Effect on success: the VM runs. Effect on failure: the VM never ran; the QEMU must be ended.
// ErrorKind::damaged names the broken part; incompatible: this QEMU is not the machine that was saved.
#pragma once

#include <tlc/base/result.hpp>

#include <cstdint>
#include <filesystem>

namespace tlc {

struct LoadReport {
    double latency_ms = 0; // from the start to the running VM
    uint64_t ram_bytes = 0;
    uint64_t pages_loaded = 0;
};

Result<LoadReport> load_checkpoint(const std::filesystem::path& qmp_socket,
                                   const std::filesystem::path& from);

} // namespace tlc
