// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/stage/ext4.hpp>
#include <tlc/stage/ext4_internal.hpp>

#include <array>
#include <com_err.h>
#include <mutex>

namespace tlc {

using namespace ext4;

void Ext4::Free::operator()(struct_ext2_filsys* system) const { ext2fs_free(system); }
Ext4::~Ext4() = default;

tl::unexpected<Error> Ext4::error(long code, const std::string& step) const {
    if (code == EXT2_ET_BLOCK_ALLOC_FAIL || code == EXT2_ET_INODE_ALLOC_FAIL)
        return fail(ErrorKind::no_space,
                    "{}: the job's work disk is full; name fewer files with --vm-stage-in=LIST, or ask the "
                    "administrator for a larger work_disk",
                    step);
    return fail("{}: {}", step, error_message(code));
}

Result<Ext4> Ext4::open(const std::filesystem::path& image, bool writable) {
    static std::once_flag once;
    std::call_once(once, [] { initialize_ext2_error_table(); });
    ext2_filsys system = nullptr;
    const int flags = EXT2_FLAG_64BITS | (writable ? EXT2_FLAG_RW : 0);
    if (errcode_t code = ext2fs_open(image.c_str(), flags, 0, 0, unix_io_manager, &system); code != 0)
        return fail(ErrorKind::damaged, "cannot open the work disk {}: {}", image.string(),
                    error_message(code));
    Ext4 opened(system);
    if (writable)
        if (errcode_t code = ext2fs_read_bitmaps(system); code != 0)
            return opened.error(code, "reading the work disk " + image.string());
    return opened;
}

Status Ext4::close() {
    ext2_filsys system = system_.release();
    if (errcode_t code = ext2fs_close_free(&system); code != 0) return error(code, "finishing the work disk");
    return {};
}

bool Ext4::clean() const {
    const auto* super = system_->super;
    return (super->s_state & EXT2_VALID_FS) != 0 && (super->s_state & EXT2_ERROR_FS) == 0 &&
           !ext2fs_has_feature_journal_needs_recovery(system_->super);
}

Result<std::vector<Ext4::Entry>> Ext4::list(Inode directory) {
    struct Gather {
        std::vector<Entry> entries;
        bool bad_name = false;
    } gather;
    auto visit = [](ext2_dir_entry* entry, int, int, char*, void* data) {
        auto& to = *static_cast<Gather*>(data);
        std::string name(entry->name, static_cast<size_t>(ext2fs_dirent_name_len(entry)));
        if (name == "." || name == "..") return 0;
        if (name.empty() || name.find('/') != std::string::npos || name.find('\0') != std::string::npos)
            to.bad_name = true;
        else
            to.entries.push_back({std::move(name), entry->inode});
        return 0;
    };
    if (errcode_t code = ext2fs_dir_iterate(system_.get(), directory, 0, nullptr, visit, &gather); code != 0)
        return error(code, "reading a directory of the work disk");
    if (gather.bad_name)
        return fail(ErrorKind::damaged, "the work disk holds a file name that cannot be one; it is damaged");
    return std::move(gather.entries);
}

Result<Ext4::Info> Ext4::info(Inode number, const std::string& path) {
    ext2_inode_large inode{};
    if (errcode_t code = ext2fs_read_inode_full(system_.get(), number, as_small(&inode), sizeof inode);
        code != 0)
        return error(code, "looking at " + path + " on the work disk");
    const uint32_t birth = system_->super->s_mkfs_time;
    const bool untouched = inode.i_ctime == birth && inode.i_ctime_extra == 0 && inode.i_crtime == birth &&
                           inode.i_crtime_extra == 0 && inode.i_generation == path_mark(path);
    return Info{inode.i_mode, inode_uid(inode), EXT2_I_SIZE(&inode),
                to_time(inode.i_mtime, inode.i_mtime_extra), untouched};
}

Status Ext4::read_file(Inode inode, const std::function<Status(std::span<const std::byte>)>& sink) {
    ext2_file_t file = nullptr;
    if (errcode_t code = ext2fs_file_open(system_.get(), inode, 0, &file); code != 0)
        return error(code, "opening a file of the work disk");
    const std::unique_ptr<ext2_file, decltype(&ext2fs_file_close)> closer(file, ext2fs_file_close);
    std::array<std::byte, size_t{64} << 10> buffer;
    for (;;) {
        unsigned got = 0;
        if (errcode_t code = ext2fs_file_read(file, buffer.data(), buffer.size(), &got); code != 0)
            return error(code, "reading a file of the work disk");
        if (got == 0) return {};
        TLC_TRY(sink({buffer.data(), got}));
    }
}

Result<std::string> Ext4::read_link(Inode number) {
    ext2_inode inode{};
    if (errcode_t code = ext2fs_read_inode(system_.get(), number, &inode); code != 0)
        return error(code, "looking at a link of the work disk");
    if (ext2fs_is_fast_symlink(&inode))
        return std::string(reinterpret_cast<const char*>(inode.i_block), inode.i_size);
    std::string target;
    TLC_TRY(read_file(number, [&](std::span<const std::byte> part) -> Status {
        target.append(reinterpret_cast<const char*>(part.data()), part.size());
        if (target.size() > 4096) return fail(ErrorKind::damaged, "a link of the work disk is too long");
        return {};
    }));
    return target;
}

} // namespace tlc
