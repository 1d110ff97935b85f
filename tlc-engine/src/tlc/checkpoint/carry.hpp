// SPDX-License-Identifier: GPL-2.0-or-later
// Carries a published checkpoint into another job directory, of any file system, and publishes it there: from
// a node's own disk to a directory that survives the node. The memory image and older files are copied,
// unless `base`, an earlier checkpoint carried to the same place, has them: then they are linked. The disk is
// packed (tlc/disk/packed_disk.hpp). Prerequisites: `to` is a claimed, empty checkpoint directory of the same
// sequence. Effect on success: the checkpoint exists in `to`, durable. Effect on failure: none is published
// there, what was written is garbage; ErrorKind::damaged: the one in `from` is; busy: a newer run owns the
// job. Thread-safe for different `to`.
#pragma once

#include <tlc/base/result.hpp>

#include <cstdint>
#include <filesystem>

namespace tlc {

struct CarryRequest {
    std::filesystem::path from;
    std::filesystem::path to;
    std::filesystem::path base;    // empty: none
    uint64_t epoch = 0;            // of the run that carries; 0: the one that took the checkpoint
    uint64_t bytes_per_second = 0; // 0: no limit
};

struct CarryReport {
    uint64_t memory_bytes = 0; // copied
    uint64_t disk_bytes = 0;   // packed
    double latency_ms = 0;
};

Result<CarryReport> carry_checkpoint(const CarryRequest& request);

} // namespace tlc
