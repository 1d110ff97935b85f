// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/files.hpp>
#include <tlc/disk/btrfs.hpp>
#include <tlc/disk/plain.hpp>

#include <sys/stat.h>

#include <algorithm>
#include <system_error>

namespace tlc {

namespace fs = std::filesystem;

Status must_be_free(const fs::path& path) {
    struct stat info {};
    if (::lstat(path.c_str(), &info) == 0) return fail(ErrorKind::busy, "{} exists already", path.string());
    return {};
}

Result<std::vector<std::string>> file_names(const fs::path& directory) {
    std::vector<std::string> names;
    std::error_code error;
    for (fs::directory_iterator at(directory, error), end; !error && at != end; at.increment(error))
        if (at->symlink_status(error).type() == fs::file_type::regular)
            names.push_back(at->path().filename().string());
    if (error) return fail_errno(error.value(), fmt::format("cannot list {}", directory.string()));
    std::sort(names.begin(), names.end());
    return names;
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
