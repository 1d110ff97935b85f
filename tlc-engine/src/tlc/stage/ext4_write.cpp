// SPDX-License-Identifier: GPL-2.0-or-later
// The half of Ext4 that adds entries.
#include <tlc/stage/ext4.hpp>
#include <tlc/stage/ext4_internal.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <unistd.h>

namespace tlc {

using namespace ext4;

// Into its directory, which grows when it is full.
Status Ext4::link(const New& entry, Inode inode, int type) {
    errcode_t code = ext2fs_link(system_.get(), entry.parent, entry.name.c_str(), inode, type);
    if (code == EXT2_ET_DIR_NO_SPACE) {
        code = ext2fs_expand_dir(system_.get(), entry.parent);
        if (code == 0) code = ext2fs_link(system_.get(), entry.parent, entry.name.c_str(), inode, type);
    }
    if (code != 0) return error(code, entry.path);
    return {};
}

// Owner, mode, times and the mark, once nothing else changes the inode.
Status Ext4::finish(const New& entry, Inode number) {
    ext2_inode_large inode{};
    if (errcode_t code = ext2fs_read_inode_full(system_.get(), number, as_small(&inode), sizeof inode);
        code != 0)
        return error(code, entry.path);
    inode.i_mode = static_cast<uint16_t>((inode.i_mode & S_IFMT) | (entry.like.st_mode & 07777));
    inode.i_uid = static_cast<uint16_t>(entry.uid);
    inode.i_gid = static_cast<uint16_t>(entry.gid);
    ext2fs_set_i_uid_high(inode, static_cast<uint16_t>(entry.uid >> 16));
    ext2fs_set_i_gid_high(inode, static_cast<uint16_t>(entry.gid >> 16));
    inode.i_extra_isize = sizeof(ext2_inode_large) - EXT2_GOOD_OLD_INODE_SIZE;
    inode.i_atime = inode.i_mtime = time_low(entry.like.st_mtim);
    inode.i_atime_extra = inode.i_mtime_extra = time_extra(entry.like.st_mtim);
    inode.i_ctime = inode.i_crtime = system_->super->s_mkfs_time;
    inode.i_ctime_extra = inode.i_crtime_extra = 0;
    // A directory's blocks are already checked against its generation.
    if (!S_ISDIR(inode.i_mode)) inode.i_generation = path_mark(entry.path);
    if (errcode_t code = ext2fs_write_inode_full(system_.get(), number, as_small(&inode), sizeof inode);
        code != 0)
        return error(code, entry.path);
    return {};
}

Result<Ext4::Inode> Ext4::add_directory(const New& entry) {
    ext2_ino_t number = 0;
    if (errcode_t code = ext2fs_new_inode(system_.get(), entry.parent, S_IFDIR | 0755, nullptr, &number);
        code != 0)
        return error(code, entry.path);
    errcode_t code = ext2fs_mkdir(system_.get(), entry.parent, number, entry.name.c_str());
    if (code == EXT2_ET_DIR_NO_SPACE) {
        code = ext2fs_expand_dir(system_.get(), entry.parent);
        if (code == 0) code = ext2fs_mkdir(system_.get(), entry.parent, number, entry.name.c_str());
    }
    if (code != 0) return error(code, entry.path);
    TLC_TRY(finish(entry, number));
    return number;
}

Result<Ext4::Inode> Ext4::add_link(const New& entry, const std::string& target) {
    ext2_ino_t number = 0;
    if (errcode_t code = ext2fs_new_inode(system_.get(), entry.parent, S_IFLNK | 0777, nullptr, &number);
        code != 0)
        return error(code, entry.path);
    errcode_t code = ext2fs_symlink(system_.get(), entry.parent, number, entry.name.c_str(), target.c_str());
    if (code == EXT2_ET_DIR_NO_SPACE) {
        code = ext2fs_expand_dir(system_.get(), entry.parent);
        if (code == 0)
            code = ext2fs_symlink(system_.get(), entry.parent, number, entry.name.c_str(), target.c_str());
    }
    if (code != 0) return error(code, entry.path);
    TLC_TRY(finish(entry, number));
    return number;
}

Status Ext4::write_content(const New& entry, Inode number, int source_fd) {
    ext2_file_t file = nullptr;
    if (errcode_t code = ext2fs_file_open(system_.get(), number, EXT2_FILE_WRITE, &file); code != 0)
        return error(code, entry.path);
    std::array<char, size_t{64} << 10> buffer;
    errcode_t code = 0;
    int read_error = 0;
    uint64_t size = 0;
    while (code == 0) {
        const ssize_t n = ::read(source_fd, buffer.data(), buffer.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) read_error = errno;
        if (n <= 0) break;
        const auto count = static_cast<unsigned>(n);
        size += count;
        unsigned written = 0;
        // Holes stay holes.
        if (std::all_of(buffer.begin(), buffer.begin() + n, [](char byte) { return byte == 0; }))
            code = ext2fs_file_llseek(file, size, EXT2_SEEK_SET, nullptr);
        else
            code = ext2fs_file_write(file, buffer.data(), count, &written);
    }
    if (code == 0 && read_error == 0) code = ext2fs_file_set_size2(file, size);
    const errcode_t closed = ext2fs_file_close(file);
    if (read_error != 0) return fail_errno(read_error, "reading " + entry.path);
    if (code != 0 || closed != 0) return error(code != 0 ? code : closed, entry.path);
    return {};
}

Result<Ext4::Inode> Ext4::add_file(const New& entry, int source_fd) {
    ext2_ino_t number = 0;
    if (errcode_t code = ext2fs_new_inode(system_.get(), entry.parent, S_IFREG | 0644, nullptr, &number);
        code != 0)
        return error(code, entry.path);
    ext2fs_inode_alloc_stats2(system_.get(), number, +1, 0);
    ext2_inode inode{};
    inode.i_mode = S_IFREG | 0600;
    inode.i_links_count = 1;
    inode.i_generation = path_mark(entry.path); // the blocks of its extent tree are checked against it
    if (ext2fs_has_feature_extents(system_->super)) {
        ext2_extent_handle_t handle = nullptr;
        if (errcode_t code = ext2fs_extent_open2(system_.get(), number, &inode, &handle); code != 0)
            return error(code, entry.path);
        ext2fs_extent_free(handle);
    }
    if (errcode_t code = ext2fs_write_new_inode(system_.get(), number, &inode); code != 0)
        return error(code, entry.path);
    TLC_TRY(link(entry, number, EXT2_FT_REG_FILE));
    TLC_TRY(write_content(entry, number, source_fd));
    TLC_TRY(finish(entry, number));
    return number;
}

} // namespace tlc
