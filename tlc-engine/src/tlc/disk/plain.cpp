// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/files.hpp>
#include <tlc/disk/btrfs.hpp>
#include <tlc/disk/image_files.hpp>
#include <tlc/disk/plain.hpp>

#include <sys/stat.h>

namespace tlc {

namespace fs = std::filesystem;

Status must_be_free(const fs::path& path) {
    struct stat info {};
    if (::lstat(path.c_str(), &info) == 0) return fail(ErrorKind::busy, "{} exists already", path.string());
    return {};
}

Status sync_files(const fs::path& directory) {
    TLC_TRY_ASSIGN(names, file_names(directory));
    for (const auto& name : names)
        TLC_TRY(sync_path(directory / name));
    return sync_path(directory);
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
