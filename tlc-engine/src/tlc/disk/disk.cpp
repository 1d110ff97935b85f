// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/disk/btrfs.hpp>
#include <tlc/disk/disk.hpp>
#include <tlc/disk/qcow2.hpp>
#include <tlc/disk/reflink.hpp>

#include <linux/magic.h>
#include <sys/statfs.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace tlc {

namespace {

constexpr std::array<std::string_view, 3> kinds{"btrfs", "reflink", "qcow2"};

tl::unexpected<Error> unfit(const std::filesystem::path& directory, std::string_view kind,
                            std::string_view why) {
    return fail(
        ErrorKind::incompatible,
        "{} cannot hold VM disks of the kind {}, {}: give another directory with --vm-checkpoint-dir, or "
        "set disk = \"auto\" in tlc.toml",
        directory.string(), kind, why);
}

// A directory where no file can be made is of no use either.
Result<bool> try_out(const std::filesystem::path& directory,
                     Result<bool> (*possible)(const std::filesystem::path&)) {
    auto answer = possible(directory);
    if (answer || answer.error().kind == ErrorKind::no_space) return answer;
    return fail(ErrorKind::incompatible,
                "{} cannot hold VM disks ({}): give another directory with --vm-checkpoint-dir",
                directory.string(), answer.error().message);
}

} // namespace

Status remove_disk(const std::filesystem::path& path) { return BtrfsDisk().remove(path); }

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
    if (kind == "btrfs") return unfit(directory, kind, "it is not on Btrfs");
    if (any || kind == "reflink") {
        TLC_TRY_ASSIGN(clones, try_out(directory, can_clone));
        if (clones) return std::make_unique<ReflinkDisk>();
        if (!any) return unfit(directory, kind, "files cannot be cloned there");
    }
    TLC_TRY_ASSIGN(links, try_out(directory, can_link));
    if (links) return std::make_unique<Qcow2Disk>();
    return unfit(directory, "qcow2", "there are no hard links");
}

} // namespace tlc
