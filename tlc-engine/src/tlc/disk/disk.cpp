// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/disk/btrfs.hpp>
#include <tlc/disk/disk.hpp>
#include <tlc/disk/reflink.hpp>

#include <linux/magic.h>
#include <sys/statfs.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace tlc {

namespace {

constexpr std::array<std::string_view, 2> kinds{"btrfs", "reflink"};

} // namespace

bool is_disk_kind(std::string_view kind) {
    return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
}

Result<std::unique_ptr<Disk>> open_disk(const std::filesystem::path& directory, std::string_view kind) {
    const bool any = kind == "auto";
    if (!any && !is_disk_kind(kind))
        return fail(ErrorKind::usage, "unknown kind of disk \"{}\" (known: auto, {})", kind,
                    fmt::join(kinds, ", "));
    struct statfs info {};
    if (::statfs(directory.c_str(), &info) != 0)
        return fail_errno(errno, fmt::format("cannot look at the file system of {}", directory.string()));
    const bool on_btrfs = static_cast<uint64_t>(info.f_type) == BTRFS_SUPER_MAGIC;
    if (on_btrfs && (any || kind == "btrfs")) return std::make_unique<BtrfsDisk>();
    if (kind == "btrfs")
        return fail(ErrorKind::incompatible,
                    "{} is not on Btrfs: give a directory on Btrfs with --vm-checkpoint-dir, or set disk = "
                    "\"auto\" in tlc.toml",
                    directory.string());
    const auto clones = can_clone(directory);
    if (clones && *clones) return std::make_unique<ReflinkDisk>();
    if (!clones && clones.error().kind == ErrorKind::no_space) return tl::unexpected(clones.error());
    return fail(
        ErrorKind::incompatible,
        "the VM's disk cannot be frozen in {}, {}: give a directory on Btrfs, or on XFS with reflink=1, "
        "with --vm-checkpoint-dir, or ask the administrator for one",
        directory.string(), clones ? "files cannot be cloned there" : clones.error().message);
}

} // namespace tlc
