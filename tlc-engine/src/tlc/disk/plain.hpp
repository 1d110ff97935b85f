// SPDX-License-Identifier: GPL-2.0-or-later
// What the kinds of disk have in common whose live disk is a plain directory of plain files. For this folder
// and its tests.
#pragma once

#include <tlc/disk/disk.hpp>

namespace tlc {

class PlainDisk : public Disk {
  public:
    Status create_live(const std::filesystem::path& path) override;
    // Removes what another kind has left, too: somebody may have changed the kind.
    Status remove(const std::filesystem::path& path) override;
};

// ErrorKind::busy if there is something at the path.
Status must_be_free(const std::filesystem::path& path);

// Writes the files of a directory out, and the directory. ErrorKind::lost_writes if a file could not be.
Status sync_files(const std::filesystem::path& directory);

// Copies the files of one directory into another, sharing their blocks where the file system can. What was
// copied before a failure stays.
Status copy_files(const std::filesystem::path& from, const std::filesystem::path& to);

} // namespace tlc
