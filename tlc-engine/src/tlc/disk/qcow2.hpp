// SPDX-License-Identifier: GPL-2.0-or-later
// The Disk kind "qcow2", for any file system that has hard links: in the pause the VM goes on in new
// overlays, so that what it has written until then is not written any more. A snapshot holds hard links to
// those images and copies of what was appended to the other files until the pause; a live disk is a
// directory. For this folder and its tests.
#pragma once

#include <tlc/disk/image_files.hpp>
#include <tlc/disk/plain.hpp>

#include <optional>

namespace tlc {

class Qcow2Disk final : public PlainDisk {
  public:
    Qcow2Disk() = default;
    ~Qcow2Disk() override;

    std::string_view kind() const override { return "qcow2"; }
    Status prepare(const std::filesystem::path& live, const std::filesystem::path& to,
                   BlockDevices& devices) override;
    Status snapshot(const std::filesystem::path& live, const std::filesystem::path& to,
                    BlockDevices& devices) override;
    Status settle(const std::filesystem::path& snapshot) override;
    Status restore(const std::filesystem::path& snapshot, const std::filesystem::path& new_live) override;

  private:
    // A snapshot from prepare() to settle().
    struct Taking {
        BlockDevices* devices = nullptr;
        std::filesystem::path live;
        std::vector<BlockDevices::Change> changes;
        std::map<std::string, uint64_t> appended; // and how long they were in the pause
        bool switched = false;                    // the VM may write to the overlays
    };
    Status prepare_overlays();
    Status link_images(const std::filesystem::path& to) const;
    void give_up();

    std::optional<Taking> taking_;
};

// Whether hard links can be made in a directory: two names are made there and removed.
Result<bool> can_link(const std::filesystem::path& directory);

} // namespace tlc
