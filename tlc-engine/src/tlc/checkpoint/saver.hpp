// SPDX-License-Identifier: GPL-2.0-or-later
// Saver takes checkpoints of a running VM, one after the other: memory image, device state and, in the same
// pause, the disk snapshot. With `watch` it notes between two checkpoints what the VM writes, and the next
// image holds only what has changed; the older files that it refers to are linked beside it. Where the last
// checkpoint is gone, or the chain has grown long, a full one is taken.
// Prerequisites of a save: a patched QEMU with a free monitor; `out` an existing directory without memory.h5.
// Effect on success: out/memory.h5 (with the older files it needs, and out/disk) are durable; no manifest is
// written, that is the catalogue's last step. Effect on failure: the VM runs on and nothing of the checkpoint
// is left in `out`; the next image is a full one. If this process dies at any moment QEMU resumes the VM by
// itself; the caller removes what is left in `out`. Not thread-safe.
#pragma once

#include <tlc/checkpoint/capture_choice.hpp>
#include <tlc/image/compression.hpp>
#include <tlc/image/format.hpp>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace tlc {

struct SaverOptions {
    std::filesystem::path qmp_socket;
    uint64_t buffer_bytes = uint64_t{64} << 20;
    std::string userfaultfd_device; // in QEMU's terms; empty: QEMU's own way
    CaptureChoice capture;
    bool watch = false;
    Compression compression = Compression::automatic;
    bool skip_known = true; // optimisations 1 and 2 of the capture by log
    bool replace_older = true;
};

struct SaveRequest {
    std::filesystem::path out;
    std::filesystem::path live; // the VM's live disk; empty: memory only
    std::string disk = "auto";  // its kind, see open_disk()
};

struct SaveReport {
    std::string identity;              // of the image
    std::string parent;                // identity of the image it builds on; empty: it stands alone
    std::vector<ImageOlderFile> older; // the files it needs, see older_file_name()
    std::string digest;
    std::string disk_sums; // checksum of disk.sums; empty: no disk
    std::string created;   // UTC
    std::string machine;
    std::string qemu_version;
    std::string capture;   // the kind used, as CaptureChoice writes it
    std::string fallback;  // why it is not the first choice of "auto"; empty: it is
    double pause_ms = 0;   // guest stopped
    double hold_ms = 0;    // the longest it stood still before that, to read the dirty log
    double latency_ms = 0; // from the start until all is durable
    bool goes_on = false;  // the next one will hold only what has changed, as far as can be said now
    uint64_t ram_bytes = 0;
    uint64_t stored_bytes = 0; // compressed pages
    uint64_t file_bytes = 0;   // memory.h5
    uint64_t pages_copied = 0; // from the VM
    uint64_t pages_saved = 0;  // in memory.h5
    uint64_t pages_older = 0;  // in older files
    uint64_t pages_zero = 0;
    uint64_t faults = 0;
    uint64_t buffer_peak_bytes = 0;
    uint64_t exposed_bytes = 0; // see CaptureCounters
    uint64_t working_set_pages = 0;
    uint64_t table_pages = 0;
    uint64_t skipped_opt1 = 0;
    uint64_t skipped_opt2 = 0;
};

class Saver {
  public:
    explicit Saver(SaverOptions options);
    Saver(const Saver&) = delete;
    Saver& operator=(const Saver&) = delete;
    ~Saver();

    // Gets the buffer's memory now and keeps it from one checkpoint to the next, so that no checkpoint waits
    // for it. Optional; an error is the same that save() would meet.
    Status prepare();
    Result<SaveReport> save(const SaveRequest& request);

    struct State; // saver_state.hpp

  private:
    std::unique_ptr<State> state_;
};

} // namespace tlc
