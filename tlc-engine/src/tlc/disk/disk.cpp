// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/disk/btrfs.hpp>
#include <tlc/disk/disk.hpp>

#include <linux/magic.h>
#include <sys/statfs.h>

#include <cerrno>

namespace tlc {

Result<std::unique_ptr<Disk>> open_disk(const std::filesystem::path& directory) {
    struct statfs info {};
    if (::statfs(directory.c_str(), &info) != 0)
        return fail_errno(errno, fmt::format("cannot look at the file system of {}", directory.string()));
    if (static_cast<uint64_t>(info.f_type) == BTRFS_SUPER_MAGIC) return std::make_unique<BtrfsDisk>();
    return fail(
        ErrorKind::incompatible,
        "{} is not on Btrfs, so the VM's disk cannot be frozen there: give a directory on a Btrfs file "
        "system with --vm-checkpoint-dir, or ask the administrator for one",
        directory.string());
}

} // namespace tlc
