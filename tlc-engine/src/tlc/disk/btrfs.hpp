// SPDX-License-Identifier: GPL-2.0-or-later
// The Disk kind "btrfs": a live disk is a subvolume, a frozen one a read-only snapshot of it. Works as an
// ordinary user; for this folder and its tests.
#pragma once

#include <tlc/disk/disk.hpp>

namespace tlc {

class BtrfsDisk final : public Disk {
  public:
    std::string_view kind() const override { return "btrfs"; }
    Status create_live(const std::filesystem::path& path) override;
    Status prepare(const std::filesystem::path& live, const std::filesystem::path& to,
                   BlockDevices& devices) override;
    Status snapshot(const std::filesystem::path& live, const std::filesystem::path& to,
                    BlockDevices& devices) override;
    Status settle(const std::filesystem::path& snapshot) override;
    Status restore(const std::filesystem::path& snapshot, const std::filesystem::path& new_live) override;
    Status remove(const std::filesystem::path& path) override;

  private:
    std::filesystem::path live_; // of the snapshot that was prepared
};

} // namespace tlc
