// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/files.hpp>
#include <tlc/disk/image_files.hpp>
#include <tlc/disk/reflink.hpp>

#include <linux/fs.h>
#include <sys/ioctl.h>

#include <array>
#include <cerrno>

namespace tlc {
namespace {

namespace fs = std::filesystem;

Status clone_files(const fs::path& from, const fs::path& to) {
    TLC_TRY_ASSIGN(names, file_names(from));
    for (const auto& name : names)
        TLC_TRY(clone_file(from / name, to / name, 0400));
    return {};
}

} // namespace

Result<bool> can_clone(const fs::path& directory) {
    TLC_TRY_ASSIGN(source, nameless_file(directory));
    TLC_TRY_ASSIGN(target, nameless_file(directory));
    constexpr std::array<std::byte, 4096> block{std::byte{1}};
    TLC_TRY(write_all(source.get(), block));
    return ::ioctl(target.get(), FICLONE, source.get()) == 0;
}

Status ReflinkDisk::prepare(const fs::path& live, const fs::path& to, BlockDevices&) {
    TLC_TRY(must_be_free(to));
    return sync_files(live);
}

Status ReflinkDisk::snapshot(const fs::path& live, const fs::path& to, BlockDevices&) {
    TLC_TRY(must_be_free(to));
    TLC_TRY(make_directory(to));
    auto cloned = clone_files(live, to);
    if (cloned) return {};
    if (auto removed = remove(to); !removed) cloned.error().message += "; " + removed.error().message;
    return in_context(cloned.error(), fmt::format("cannot take a snapshot of {}", live.string()));
}

Status ReflinkDisk::settle(const fs::path& snapshot) { return sync_files(snapshot); }

Status ReflinkDisk::restore(const fs::path& snapshot, const fs::path& new_live) {
    TLC_TRY(create_live(new_live));
    auto copied = copy_files(snapshot, new_live);
    if (copied) return {};
    if (auto removed = remove(new_live); !removed) copied.error().message += "; " + removed.error().message;
    return in_context(copied.error(), fmt::format("cannot make a writable copy of {}", snapshot.string()));
}

} // namespace tlc
