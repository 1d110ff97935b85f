// SPDX-License-Identifier: GPL-2.0-or-later
// A Manifest says what a checkpoint is made of and what else a restore needs. Its file is JSON with a
// checksum over itself; reading is strict: an unknown version, a missing or unknown key, a wrong type, a path
// that leaves the checkpoint's directory or a wrong checksum is ErrorKind::damaged (a newer version:
// ErrorKind::incompatible). Sizes are bytes, times milliseconds. Plain values; the functions have no state.
#pragma once

#include <tlc/base/result.hpp>

#include <nlohmann/json.hpp>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tlc {

// 3 only where the disk has checksums, 2 only where there are older files.
constexpr uint64_t manifest_version = 3;

// The kind of disk that lies in packs (tlc/disk/packed_index.hpp).
inline constexpr const char* packed_kind = "packed";

struct ManifestDisk {
    std::string kind = "btrfs";            // Disk::kind()
    std::string path = "disk";             // a name in the checkpoint's directory
    std::map<std::string, uint64_t> files; // name in `path` -> size
    // Checksum of disk.sums, which tells what the files hold, or for the kind "packed" of disk.index. Empty:
    // nothing tells.
    std::string sums;
    // Kind "packed", which has no `path`: the packs in the checkpoint's directory -> size.
    std::map<std::string, uint64_t> packs;
    bool operator==(const ManifestDisk&) const = default;
};

struct Manifest {
    struct Memory {
        std::string file = "memory.h5"; // a name in the checkpoint's directory
        uint64_t size = 0;
        std::string digest;   // ImageSummary::digest
        std::string identity; // ImageInfo::identity
        // The older files the image needs, by their names in the checkpoint's directory, and their sizes.
        // What must be in them is told by the image.
        std::map<std::string, uint64_t> older;
        bool operator==(const Memory&) const = default;
    };
    using Disk = ManifestDisk;
    struct Console { // how much of each of the live disk's files is output before the checkpoint
        uint64_t stdout_bytes = 0;
        uint64_t stderr_bytes = 0;
        uint64_t control_bytes = 0;
        bool operator==(const Console&) const = default;
    };
    struct Vm {
        std::string machine;
        std::string cpu;
        std::string accel;
        uint64_t vcpus = 0;
        uint64_t memory_bytes = 0;
        std::string qemu_version;
        std::vector<std::string> qemu_arguments; // needed again for a restore
        bool operator==(const Vm&) const = default;
    };
    struct Image { // the guest image under the root disk, outside the checkpoint
        std::string path;
        uint64_t size = 0;
        int64_t mtime_ns = 0;
        bool operator==(const Image&) const = default;
    };
    struct Timings {
        double pause_ms = 0;
        double latency_ms = 0;
        bool operator==(const Timings&) const = default;
    };
    struct Sizes {
        uint64_t ram_bytes = 0;
        uint64_t stored_bytes = 0;
        uint64_t pages_saved = 0;
        uint64_t pages_zero = 0;
        bool operator==(const Sizes&) const = default;
    };

    uint64_t sequence = 0;
    uint64_t epoch = 0;
    std::string created; // UTC, "2026-01-31T12:00:00Z"
    std::string cluster;
    std::string job_id;
    Memory memory;
    std::optional<Disk> disk; // nothing: the VM has no disk of ours
    Console console;
    Vm vm;
    Image image;
    nlohmann::json job = nlohmann::json::object(); // the supervisor's own, an object
    Timings timings;
    Sizes sizes;

    bool operator==(const Manifest&) const = default;
};

// At most this many bytes; more is an error both ways.
constexpr size_t manifest_limit = size_t{1} << 20;

Result<std::string> manifest_text(const Manifest& manifest);
Result<Manifest> parse_manifest(std::string_view text);

// manifest.json of a checkpoint's directory. ErrorKind::no_checkpoint if there is none.
Result<Manifest> read_manifest(const std::filesystem::path& checkpoint_directory);

// Whether every part the manifest names is there with its size. Cheap: contents are not read.
Status check_parts(const Manifest& manifest, const std::filesystem::path& checkpoint_directory);

} // namespace tlc
