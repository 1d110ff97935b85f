// SPDX-License-Identifier: GPL-2.0-or-later
// From the initramfs to the image's file system, and making that one ready for the job. Used by PID 1 only.
#pragma once

#include <guest/job.hpp>

#include <string>
#include <string_view>

namespace tlc::guest {

// Mounts the system on the root disk, takes /dev, /proc and /sys along, makes it "/" and frees the initramfs.
Status switch_to_root(const std::string& disk);

// Names in /etc, the home directory, limits of the processes to come.
Status prepare_root(const Job& job);

// mkdir -p. New directories have mode 0755 and belong to root, below the home directory to the job's user.
Status make_directories(const std::string& path, const Job& job);

// Writes the script into /run and returns the path to execute: argv[0] itself, by a link, where that name is
// free, so that $0 is what it would be outside.
Result<std::string> install_script(const Job& job, std::string_view script);

} // namespace tlc::guest
