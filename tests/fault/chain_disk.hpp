// SPDX-License-Identifier: GPL-2.0-or-later
// A live disk of the kind "qcow2" and the VM that is not there: it writes, goes on in overlays and merges
// long chains. An image is a header and what was written to it; a drive's content is that of all images of
// its chain, the lowest first, so a merge puts what lies below in front of what the newest has.
#pragma once

#include <tlc/disk/qcow2.hpp>

#include <map>
#include <string>

namespace tlc::test {

// The drives at a step: all that was written since the run began.
std::map<std::string, std::string> drives_at(uint64_t step);
// The drives in a directory that holds their chains.
Result<std::map<std::string, std::string>> read_drives(const std::filesystem::path& directory);

class ChainDisk final : public BlockDevices {
  public:
    Status create_live(const std::filesystem::path& live);
    // Freezes what the VM has written, that of this step included, as `to`: prepare() and snapshot() with the
    // VM's writes between them.
    Status freeze(const std::filesystem::path& to, uint64_t step);
    Status settle(const std::filesystem::path& snapshot) { return disk_.settle(snapshot); }
    // What ChainMerge does where a chain has more than two overlays.
    Status merge();

    Result<std::string> active(const std::string& drive) override;
    Status add(const std::filesystem::path& overlay) override;
    void drop(const std::string&) override {}
    Status switch_all(const std::vector<Change>& changes) override;

  private:
    // QEMU writes until it succeeds; a VM that waits for ever takes no checkpoint.
    Status write(const std::string& file, uint64_t offset, const std::string& text);
    Status merge(const std::string& drive);

    Qcow2Disk disk_;
    std::filesystem::path live_;
    std::map<std::string, std::string> active_; // by drive
    std::map<std::string, uint64_t> size_;      // of a drive's active image
    uint64_t next_ = 0;                         // step to be written
    bool waits_ = false;
};

} // namespace tlc::test
