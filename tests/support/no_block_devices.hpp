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
    Status add(const std::filesystem::path&) override { return fail("nothing was to be added"); }
    void drop(const std::string&) override {}
    Status switch_all(const std::vector<Change>&) override { return fail("nothing was to be switched"); }
};

} // namespace tlc::test
