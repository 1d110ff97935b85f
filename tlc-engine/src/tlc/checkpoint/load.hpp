// SPDX-License-Identifier: GPL-2.0-or-later
// Loads a checkpoint's memory and devices into a QEMU that waits for it (-incoming defer, the same machine).
// Lazily where possible: the VM runs as soon as its devices have their state, and gets its memory as it
// touches it while the rest follows. Where QEMU may not have a userfaultfd, or memory is backed by a file
// system of huge pages, everything is loaded first. The frozen disk is compared with its checksums last.
// Prerequisites: the disks are in place; `from` holds memory.h5, and manifest.json if it was published.
// Effect on success: the VM runs, all its memory is in, and the disk is what was saved. Effect on failure
// before it ran: it never will, the QEMU must be ended. Effect on failure while it runs: QEMU ends, or has to
// be ended where it is the disk that is damaged; what the VM has done since is lost, and it never sees a page
// that is not its own. ErrorKind::damaged names the broken part; incompatible: this QEMU is not the machine
// that was saved. One at a time in a process.
#pragma once

#include <tlc/base/result.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace tlc {

struct LoadRequest {
    std::filesystem::path qmp_socket;
    std::filesystem::path from;
    std::string userfaultfd_device; // in QEMU's terms; empty: QEMU's own way
    bool lazy = true;
    uint64_t prefetch_bytes_per_second = 0; // of what nobody waits for; 0: as fast as it can be had
};

struct LoadReport {
    bool lazy = false;
    std::string fallback;  // why it is not lazy although it was to be; empty: it is
    double running_ms = 0; // from the start to the running VM
    double latency_ms = 0; // until all memory is in
    uint64_t ram_bytes = 0;
    uint64_t pages_loaded = 0;
    uint64_t faults = 0; // how often somebody waited for memory
};

// running: called once, when the VM runs and something is still to be done.
Result<LoadReport> load_checkpoint(const LoadRequest& request,
                                   const std::function<void(const LoadReport&)>& running = {});

} // namespace tlc
