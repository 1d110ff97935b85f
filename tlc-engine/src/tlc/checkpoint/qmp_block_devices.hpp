// SPDX-License-Identifier: GPL-2.0-or-later
// A VM's drives through QEMU's monitor. A drive's node in QEMU has the name of its image file. Connects when
// it is first asked for something, and holds the monitor from then on. Not thread-safe.
#pragma once

#include <tlc/disk/block_devices.hpp>
#include <tlc/vm/qmp.hpp>

#include <optional>

namespace tlc {

class QmpBlockDevices final : public BlockDevices {
  public:
    explicit QmpBlockDevices(std::filesystem::path socket) : socket_(std::move(socket)) {}

    Result<std::string> active(const std::string& drive) override;
    Status add(const std::filesystem::path& overlay) override;
    void drop(const std::string& overlay) override;
    Status switch_all(const std::vector<Change>& changes) override;

  private:
    Status connect();

    std::filesystem::path socket_;
    std::optional<Qmp> qmp_;
};

} // namespace tlc
