// SPDX-License-Identifier: GPL-2.0-or-later
// A Disk keeps the VM's writable files in one directory (the live disk) and freezes it beside the memory
// image. Order of a checkpoint: prepare() while the VM runs, snapshot() while it is paused, settle() after it
// runs again, of one Disk and with the same paths; when one fails, or the checkpoint is given up, the caller
// removes `to` and may begin anew. All paths are on the file system the Disk was opened for. `devices`
// outlives the Disk. One snapshot at a time; otherwise thread-safe, if no two calls work on the same path. A
// full disk is ErrorKind::no_space. After ErrorKind::lost_writes, from whatever operation, nothing may be
// frozen of this live disk any more: what the VM has written is not all there, and nothing will tell so again.
#pragma once

#include <tlc/base/result.hpp>
#include <tlc/disk/block_devices.hpp>

#include <filesystem>
#include <memory>
#include <string_view>

namespace tlc {

class Disk {
  public:
    virtual ~Disk() = default;

    // The kind as it stands in a manifest: "btrfs", "reflink" or "qcow2".
    virtual std::string_view kind() const = 0;
    // A new empty live disk, mode 0700. ErrorKind::busy if the path exists.
    virtual Status create_live(const std::filesystem::path& path) = 0;
    // Everything slow, so that the snapshot in the pause has little left to do: writes out what the live disk
    // has in memory, makes what has to be made. ErrorKind::busy if there is something at `to`; on failure
    // there is nothing.
    virtual Status prepare(const std::filesystem::path& live, const std::filesystem::path& to,
                           BlockDevices& devices) = 0;
    // Freezes the live disk as `to`, read-only.
    virtual Status snapshot(const std::filesystem::path& live, const std::filesystem::path& to,
                            BlockDevices& devices) = 0;
    // Returns when the snapshot is whole and durable.
    virtual Status settle(const std::filesystem::path& snapshot) = 0;
    // A new writable live disk with the content of a snapshot, of whatever kind, which stays as it is.
    virtual Status restore(const std::filesystem::path& snapshot, const std::filesystem::path& new_live) = 0;
    // Removes a live disk, a snapshot or a plain directory with all it holds. Nothing there is success.
    virtual Status remove(const std::filesystem::path& path) = 0;
};

// The Disk of a kind, or ("auto") the best one for the file system of `directory`, which has to be writable.
// ErrorKind::incompatible says what to do where it cannot be.
Result<std::unique_ptr<Disk>> open_disk(const std::filesystem::path& directory,
                                        std::string_view kind = "auto");

// ErrorKind::lost_writes if something that was written to the live disk, of whatever kind, has not reached the
// device and nobody was told. Writes nothing.
Status check_written(const std::filesystem::path& live);

// Removes a live disk, a snapshot or a plain directory of whatever kind; needs no space. Nothing there is
// success.
Status remove_disk(const std::filesystem::path& path);

bool is_disk_kind(std::string_view kind);

} // namespace tlc
