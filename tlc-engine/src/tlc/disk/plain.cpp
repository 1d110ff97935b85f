// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/fd.hpp>
#include <tlc/base/files.hpp>
#include <tlc/disk/btrfs.hpp>
#include <tlc/disk/image_files.hpp>
#include <tlc/disk/plain.hpp>

#include <sys/stat.h>

#include <cerrno>
#include <fcntl.h>

namespace tlc {

namespace fs = std::filesystem;

Status must_be_free(const fs::path& path) {
    struct stat info {};
    if (::lstat(path.c_str(), &info) == 0) return fail(ErrorKind::busy, "{} exists already", path.string());
    return {};
}

namespace {

// The kernel tells it once: the next fsync says nothing of what is gone.
tl::unexpected<Error> lost(int error_number, const fs::path& path) {
    auto error = fail_errno(error_number, fmt::format("what was written to {} may be lost", path.string()));
    error.value().kind = ErrorKind::lost_writes;
    return error;
}

Status sync_file(const fs::path& path) {
    TLC_TRY_ASSIGN(file, open_file(path, O_RDONLY));
    if (::fsync(file.get()) != 0) return lost(errno, path);
    return {};
}

} // namespace

Status sync_files(const fs::path& directory) {
    TLC_TRY_ASSIGN(names, file_names(directory));
    for (const auto& name : names)
        TLC_TRY(sync_file(directory / name));
    return sync_path(directory);
}

Status check_written(const fs::path& live) {
    TLC_TRY_ASSIGN(names, file_names(live));
    for (const auto& name : names) {
        TLC_TRY_ASSIGN(file, open_file(live / name, O_RDONLY));
        // Waits for a page at most, and tells of errors anywhere in the file.
        if (::sync_file_range(file.get(), 0, 1, SYNC_FILE_RANGE_WAIT_BEFORE) != 0)
            return lost(errno, live / name);
    }
    return {};
}

Status copy_files(const fs::path& from, const fs::path& to) {
    TLC_TRY_ASSIGN(names, file_names(from));
    for (const auto& name : names)
        TLC_TRY(tlc::copy_file(from / name, to / name));
    return {};
}

Status PlainDisk::create_live(const fs::path& path) { return make_directory(path, 0700); }

Status PlainDisk::remove(const fs::path& path) { return BtrfsDisk().remove(path); }

} // namespace tlc
