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

    // Opens an empty overlay over what will be active in the pause.
    virtual Status add(const std::filesystem::path& overlay) = 0;
    // Closes one that was not taken into use, if it is open.
    virtual void drop(const std::string& overlay) = 0;

    struct Change {
        std::string from; // active, a name in the live disk
        std::string to;   // an overlay that was added
    };
    // All drives at once go on in their overlays; what was active before is not written any more. Quick: it
    // is called while the VM stands still.
    virtual Status switch_all(const std::vector<Change>& changes) = 0;
};

} // namespace tlc
