// SPDX-License-Identifier: GPL-2.0-or-later
// For kinds of disk that ask no VM for anything.
#pragma once

#include <tlc/disk/block_devices.hpp>

namespace tlc::test {

class NoBlockDevices final : public BlockDevices {
  public:
    Result<std::string> active(const std::string& drive) override {
        return fail("nobody was to be asked for the drive {}", drive);
    }
    Status switch_to(const std::vector<Overlay>&) override { return fail("nothing was to be switched"); }
};

} // namespace tlc::test
