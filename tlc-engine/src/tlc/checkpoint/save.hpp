// SPDX-License-Identifier: GPL-2.0-or-later
// Takes one checkpoint of a running VM: memory image, device state and, in the same pause, the disk snapshot.
// Prerequisites: a patched QEMU with a free monitor; `out` an existing directory without memory.h5.
// Effect on success: out/memory.h5 (and out/disk) are durable; no manifest is written, that is the
// catalogue's last step. Effect on failure: the VM runs on and nothing of the checkpoint is left in `out`. If
// this process dies at any moment QEMU resumes the VM by itself; the caller removes what is left in `out`.
#pragma once

#include <tlc/checkpoint/capture_choice.hpp>

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
    CaptureChoice capture;
    bool skip_known = true; // optimisations 1 and 2 of the capture by log
    bool replace_older = true;
};

struct SaveReport {
    std::string identity; // of the image
    std::string digest;
    std::string created; // UTC
    std::string machine;
    std::string qemu_version;
    std::string capture;   // the kind used, as CaptureChoice writes it
    std::string fallback;  // why it is not the first choice of "auto"; empty: it is
    double pause_ms = 0;   // guest stopped
    double hold_ms = 0;    // the longest it stood still before that, to read the dirty log
    double latency_ms = 0; // from the start until all is durable
    uint64_t ram_bytes = 0;
    uint64_t stored_bytes = 0; // compressed pages
    uint64_t file_bytes = 0;   // memory.h5
    uint64_t pages_saved = 0;
    uint64_t pages_zero = 0;
    uint64_t faults = 0;
    uint64_t buffer_peak_bytes = 0;
    uint64_t exposed_bytes = 0; // see CaptureCounters
    uint64_t working_set_pages = 0;
    uint64_t table_pages = 0;
    uint64_t skipped_opt1 = 0;
    uint64_t skipped_opt2 = 0;
};

Result<SaveReport> save_checkpoint(const SaveRequest& request);

} // namespace tlc
