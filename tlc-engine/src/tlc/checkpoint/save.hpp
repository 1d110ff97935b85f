// SPDX-License-Identifier: GPL-2.0-or-later
// Takes one checkpoint of a running VM: memory image, device state and, in the same pause, the disk snapshot.
// Prerequisites: a patched QEMU with a free monitor; `out` an existing directory without memory.h5.
// Effect on success: out/memory.h5 (and out/disk) are durable; no manifest is written, that is the
// catalogue's last step. Effect on failure: the VM runs on and nothing of the checkpoint is left in `out`. If
// this process dies at any moment QEMU resumes the VM by itself; the caller removes what is left in `out`.
#pragma once

#include <tlc/base/result.hpp>

#include <cstdint>
#include <filesystem>
#include <string>

namespace tlc {

struct SaveRequest {
    std::filesystem::path qmp_socket;
    std::filesystem::path out;
    std::filesystem::path live; // the VM's live disk; empty: memory only
    uint64_t buffer_bytes = uint64_t{64} << 20;
    std::string userfaultfd_device; // in QEMU's terms; empty: QEMU's own way
};

struct SaveReport {
    std::string identity; // of the image
    std::string digest;
    std::string created; // UTC
    std::string machine;
    std::string qemu_version;
    double pause_ms = 0;   // guest stopped
    double latency_ms = 0; // from the start until all is durable
    uint64_t ram_bytes = 0;
    uint64_t stored_bytes = 0; // compressed pages
    uint64_t file_bytes = 0;   // memory.h5
    uint64_t pages_saved = 0;
    uint64_t pages_zero = 0;
    uint64_t faults = 0;
    uint64_t buffer_peak_bytes = 0;
};

Result<SaveReport> save_checkpoint(const SaveRequest& request);

} // namespace tlc
