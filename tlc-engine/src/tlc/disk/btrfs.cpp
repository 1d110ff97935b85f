// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/files.hpp>
#include <tlc/disk/btrfs.hpp>
#include <tlc/disk/plain.hpp>

#include <sys/stat.h>

#include <btrfsutil.h>
#include <cerrno>
#include <system_error>
#include <unistd.h>

namespace tlc {
namespace {

namespace fs = std::filesystem;

// The library sets errno with every error of its own.
Status check(btrfs_util_error result, std::string_view step, const fs::path& path) {
    if (result == BTRFS_UTIL_OK) return {};
    const int error = errno;
    // The kernel's word for a snapshot of something else is EINVAL, the library calls it a failed creation.
    const bool creation =
        result == BTRFS_UTIL_ERROR_SNAP_CREATE_FAILED || result == BTRFS_UTIL_ERROR_SUBVOL_CREATE_FAILED;
    if (result == BTRFS_UTIL_ERROR_NOT_SUBVOLUME || (creation && error == EINVAL))
        return fail("{} {}: it is not a Btrfs subvolume", step, path.string());
    if (error == 0) return fail("{} {}: {}", step, path.string(), btrfs_util_strerror(result));
    return fail_errno(error, fmt::format("{} {}", step, path.string()));
}

// Deleting a subvolume is for root unless the mount says otherwise; emptying it and rmdir is for everyone.
Status empty_and_remove(const fs::path& path, bool subvolume) {
    if (subvolume)
        TLC_TRY(check(btrfs_util_set_subvolume_read_only(path.c_str(), false), "cannot make writable", path));
    std::error_code error;
    fs::remove_all(path, error);
    if (!error) return {};
    if (!subvolume) return fail_errno(error.value(), fmt::format("cannot remove {}", path.string()));
    return fail(
        "cannot remove {}: {} (mount the file system with user_subvol_rm_allowed, or ask the administrator "
        "to run: btrfs subvolume delete {})",
        path.string(), error.message(), path.string());
}

} // namespace

Status BtrfsDisk::create_live(const fs::path& path) {
    TLC_TRY(must_be_free(path));
    TLC_TRY(check(btrfs_util_create_subvolume(path.c_str(), 0, nullptr, nullptr), "cannot create subvolume",
                  path));
    if (::chmod(path.c_str(), 0700) != 0) return fail_errno(errno, fmt::format("chmod {}", path.string()));
    return {};
}

Status BtrfsDisk::prepare(const fs::path& live, const fs::path& to, BlockDevices&) {
    TLC_TRY(must_be_free(to));
    live_ = live;
    TLC_TRY(check(btrfs_util_sync(live.c_str()), "cannot sync the file system of", live));
    // It does not tell of data that could not be written.
    return sync_files(live);
}

Status BtrfsDisk::snapshot(const fs::path& live, const fs::path& to, BlockDevices&) {
    // Without this check a directory at `to` would get the snapshot inside it.
    TLC_TRY(must_be_free(to));
    return check(btrfs_util_create_snapshot(live.c_str(), to.c_str(), BTRFS_UTIL_CREATE_SNAPSHOT_READ_ONLY,
                                            nullptr, nullptr),
                 "cannot take a snapshot of", live);
}

Status BtrfsDisk::settle(const fs::path& snapshot) {
    uint64_t transaction = 0;
    TLC_TRY(check(btrfs_util_start_sync(snapshot.c_str(), &transaction), "cannot sync", snapshot));
    TLC_TRY(check(btrfs_util_wait_sync(snapshot.c_str(), transaction), "cannot sync", snapshot));
    return check_written(live_);
}

Status BtrfsDisk::restore(const fs::path& snapshot, const fs::path& new_live) {
    TLC_TRY(must_be_free(new_live));
    if (btrfs_util_is_subvolume(snapshot.c_str()) == BTRFS_UTIL_OK) {
        const auto made = btrfs_util_create_snapshot(snapshot.c_str(), new_live.c_str(), 0, nullptr, nullptr);
        if (made == BTRFS_UTIL_OK || errno != EXDEV)
            return check(made, "cannot make a writable copy of", snapshot);
    }
    // What another kind has frozen is just files, and so is what lies in another file system.
    TLC_TRY(create_live(new_live));
    auto copied = copy_files(snapshot, new_live);
    if (!copied) (void)remove(new_live);
    return copied;
}

Status BtrfsDisk::remove(const fs::path& path) {
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0) {
        if (errno == ENOENT) return {};
        return fail_errno(errno, fmt::format("cannot look at {}", path.string()));
    }
    const bool subvolume = S_ISDIR(info.st_mode) && btrfs_util_is_subvolume(path.c_str()) == BTRFS_UTIL_OK;
    if (subvolume && btrfs_util_delete_subvolume(path.c_str(), 0) == BTRFS_UTIL_OK) return {};
    return empty_and_remove(path, subvolume);
}

} // namespace tlc
