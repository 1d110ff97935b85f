// SPDX-License-Identifier: GPL-2.0-or-later
// Where in an image its system is: on the disk itself, or in one of its partitions. Used by PID 1 only.
#pragma once

#include <tlc/base/result.hpp>

#include <filesystem>
#include <string>

namespace tlc::guest {

// Mounts the first file system that holds /bin/sh, for reading and writing: the disk itself, then its
// partitions, the largest first; of Btrfs the default subvolume, then "root" and "@". Loads the kernel
// modules it needs from /modules/<type>.list. The error names what was looked at.
Status mount_system(const std::string& disk, const std::filesystem::path& where);

} // namespace tlc::guest
