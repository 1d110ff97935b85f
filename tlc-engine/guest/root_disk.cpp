// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/fd.hpp>
#include <tlc/base/files.hpp>

#include <guest/file_system.hpp>
#include <guest/machine.hpp>
#include <guest/root_disk.hpp>
#include <sys/mount.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <fcntl.h>
#include <unistd.h>
#include <vector>

namespace tlc::guest {
namespace {

namespace fs = std::filesystem;

struct Volume {
    std::string device;
    uint64_t sectors = 0;
};

uint64_t number_in(const fs::path& file) {
    uint64_t value = 0;
    if (const auto text = read_text(file)) std::from_chars(text->data(), text->data() + text->size(), value);
    return value;
}

// The disk, then its partitions, the largest first.
std::vector<Volume> volumes_of(const std::string& disk) {
    const auto about = fs::path("/sys/block") / fs::path(disk).filename();
    std::vector<Volume> partitions;
    std::error_code gone;
    for (const auto& entry : fs::directory_iterator(about, gone))
        if (fs::exists(entry.path() / "partition", gone))
            partitions.push_back(
                {"/dev/" + entry.path().filename().string(), number_in(entry.path() / "size")});
    std::ranges::sort(partitions, std::greater{}, &Volume::sectors);
    partitions.insert(partitions.begin(), Volume{disk, 0});
    return partitions;
}

Result<std::optional<std::string>> type_on(const std::string& device) {
    TLC_TRY_ASSIGN(file, open_file(device, O_RDONLY));
    std::vector<std::byte> start(superblock_bytes);
    size_t got = 0;
    while (got < start.size()) {
        const ssize_t n =
            ::pread(file.get(), start.data() + got, start.size() - got, static_cast<off_t>(got));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno(errno, "reading " + device);
        if (n == 0) break;
        got += static_cast<size_t>(n);
    }
    return file_system_type(std::span(start).first(got));
}

// "ext4" is part of the kernels we make an initramfs for, and has no list then.
Status load_file_system(const std::string& type) {
    const fs::path list = "/modules/" + type + ".list";
    std::error_code none;
    return fs::exists(list, none) ? load_modules(list) : Status{};
}

bool holds_system(const fs::path& root) {
    std::error_code none;
    return fs::exists(root / "bin/sh", none) || fs::is_symlink(root / "bin/sh", none);
}

std::vector<const char*> options_for(const std::string& type) {
    if (type == "btrfs") return {nullptr, "subvol=root", "subvol=@"};
    return {nullptr};
}

} // namespace

Status mount_system(const std::string& disk, const fs::path& where) {
    std::string seen;
    for (const auto& volume : volumes_of(disk)) {
        TLC_TRY_ASSIGN(type, type_on(volume.device));
        seen += fmt::format("{}{} {}", seen.empty() ? "" : ", ", volume.device, type.value_or("unknown"));
        if (!type) continue;
        TLC_TRY(load_file_system(*type));
        for (const char* options : options_for(*type)) {
            // What is not the system stays as it is.
            if (auto mounted = mount_at(volume.device, where, type->c_str(), MS_RDONLY, options); !mounted) {
                seen += " (" + mounted.error().message + ")";
                continue;
            }
            if (holds_system(where)) {
                if (::mount(nullptr, where.c_str(), nullptr, MS_REMOUNT | MS_NOATIME, nullptr) != 0)
                    return fail_errno(errno, fmt::format("mounting {} for writing", volume.device));
                return {};
            }
            ::umount2(where.c_str(), 0);
        }
    }
    return fail(
        "the image holds no system: a file system (ext4, xfs or btrfs; not in LVM, not encrypted) with "
        "/bin/sh in it, on the disk itself or in a partition. There is: {}",
        seen);
}

} // namespace tlc::guest
