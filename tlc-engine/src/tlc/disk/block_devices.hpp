// SPDX-License-Identifier: GPL-2.0-or-later
// A running VM's drives, for the kind of disk that has to tell the VM where it shall write from the pause on.
// Drives have the names that the VM was started with, images those of their files. Errors mean that nothing
// was changed, or that this is not known. Not thread-safe.
#pragma once

#include <tlc/base/result.hpp>

#include <filesystem>
#include <string>
#include <vector>

namespace tlc {

class BlockDevices {
  public:
    virtual ~BlockDevices() = default;

    // The file, a name in the live disk, that the VM writes the drive's content to.
    virtual Result<std::string> active(const std::string& drive) = 0;

    struct Overlay {
        std::string drive;
        std::filesystem::path file; // an overlay over the drive's active file
    };
    // All drives at once go on in their overlays; what was active before is not written any more. Quick: it
    // is called while the VM stands still.
    virtual Status switch_to(const std::vector<Overlay>& overlays) = 0;
};

} // namespace tlc
