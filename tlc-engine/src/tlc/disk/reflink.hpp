// SPDX-License-Identifier: GPL-2.0-or-later
// The Disk kind "reflink": a live disk is a directory, a frozen one a directory of clones of its files, which
// share their blocks (XFS, and whatever else can FICLONE). Works as an ordinary user; for this folder and its
// tests.
#pragma once

#include <tlc/disk/plain.hpp>

namespace tlc {

class ReflinkDisk final : public PlainDisk {
  public:
    std::string_view kind() const override { return "reflink"; }
    Status prepare(const std::filesystem::path& live, const std::filesystem::path& to,
                   BlockDevices& devices) override;
    Status snapshot(const std::filesystem::path& live, const std::filesystem::path& to,
                    BlockDevices& devices) override;
    Status settle(const std::filesystem::path& snapshot) override;
    Status restore(const std::filesystem::path& snapshot, const std::filesystem::path& new_live) override;
};

// Whether files can be cloned in a directory: two small ones are made there and removed.
Result<bool> can_clone(const std::filesystem::path& directory);

} // namespace tlc
