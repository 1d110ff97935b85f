// SPDX-License-Identifier: GPL-2.0-or-later
// An ext4 image as a file, without mounting it, through libext2fs. For the files of this folder only. Not
// thread-safe.
//
// Staged entries are marked so that what the job has touched can be told from what it has not: their change
// time and birth time are the file system's own birth (which the guest's kernel changes with every write,
// chmod or rename), and the generation number is a hash of the path they were staged under.
#pragma once

#include <tlc/base/result.hpp>

#include <sys/stat.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

struct struct_ext2_filsys;

namespace tlc {

class Ext4 {
  public:
    using Inode = uint32_t;
    static constexpr Inode root = 2;

    static Result<Ext4> open(const std::filesystem::path& image, bool writable);
    Ext4(Ext4&&) noexcept = default;
    Ext4& operator=(Ext4&&) noexcept = default;
    ~Ext4();

    // Writes everything out. Without it a writable image is damaged.
    Status close();

    // False after a guest that did not unmount it.
    bool clean() const;

    struct Entry {
        std::string name;
        Inode inode;
    };
    // Without "." and ".."; names that no file can have are errors.
    Result<std::vector<Entry>> list(Inode directory);

    struct Info {
        mode_t mode;
        uid_t uid;
        uint64_t size;
        timespec modified;
        bool untouched; // still as staged under `path`
    };
    Result<Info> info(Inode inode, const std::string& path);

    // Calls `sink` with the file's bytes in order.
    Status read_file(Inode inode, const std::function<Status(std::span<const std::byte>)>& sink);
    Result<std::string> read_link(Inode inode);

    // Each returns the new entry, owned by uid:gid, with mode and modification time of `like`.
    struct New {
        Inode parent;
        std::string name;
        std::string path; // the staged path, for the mark
        struct stat like;
        uid_t uid;
        gid_t gid;
    };
    Result<Inode> add_directory(const New& entry);
    Result<Inode> add_link(const New& entry, const std::string& target);
    Result<Inode> add_file(const New& entry, int source_fd);

  private:
    struct Free {
        void operator()(struct_ext2_filsys* system) const;
    };
    explicit Ext4(struct_ext2_filsys* system) : system_(system) {}
    tl::unexpected<Error> error(long code, const std::string& step) const;
    Status link(const New& entry, Inode inode, int type);
    Status finish(const New& entry, Inode inode);
    Status write_content(const New& entry, Inode inode, int source_fd);

    std::unique_ptr<struct_ext2_filsys, Free> system_;
};

} // namespace tlc
