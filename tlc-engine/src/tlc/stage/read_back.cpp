// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/fd.hpp>
#include <tlc/base/files.hpp>
#include <tlc/base/process.hpp>
#include <tlc/stage/ext4.hpp>
#include <tlc/stage/read_back.hpp>
#include <tlc/stage/selection.hpp>
#include <tlc/stage/tools.hpp>

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <optional>
#include <set>
#include <unistd.h>

namespace tlc {
namespace {

namespace fs = std::filesystem;

constexpr int deepest = 256; // a damaged image may hold a directory inside itself

// A name removed at the end of its scope unless it was renamed away.
struct Temporary {
    fs::path path;
    ~Temporary() { ::unlink(path.c_str()); }
};

class Reader {
  public:
    Reader(Ext4& disk, const ReadBackRequest& request) : disk_(disk), request_(request) {}

    Status everything() {
        TLC_TRY_ASSIGN(entries, disk_.list(Ext4::root));
        for (const auto& entry : entries)
            take(entry.name, entry.inode, 0);
        return {};
    }

    // One path of the list, through its directories.
    void named(const std::string& item) {
        auto path = clean_relative(item, "--vm-stage-out");
        if (!path) return problem(item, path.error());
        Ext4::Inode at = Ext4::root;
        std::string walked;
        if (path->empty()) {
            if (auto all = everything(); !all) problem(item, all.error());
            return;
        }
        for (const auto& part : fs::path(*path)) {
            if (!walked.empty())
                if (auto made = make_directory(walked, at); !made) return problem(walked, made.error());
            auto entries = disk_.list(at);
            if (!entries) return problem(item, entries.error());
            auto found = std::ranges::find(*entries, part.string(), &Ext4::Entry::name);
            if (found == entries->end())
                return problem(
                    item, Error{ErrorKind::failed, "the job has left no such file in its working directory"});
            at = found->inode;
            walked += (walked.empty() ? "" : "/") + part.string();
        }
        take(*path, at, 0);
    }

    // Checkpoints may be removed next: the names of what was written are made durable, as it is itself.
    void sync_names() {
        for (const auto& directory : changed_)
            if (::access(directory.c_str(), R_OK) == 0)
                if (auto synced = sync_path(directory); !synced) problem(directory.string(), synced.error());
    }

    ReadBackSummary summary;

  private:
    void problem(const std::string& path, const Error& error) {
        summary.problems.push_back(path + ": " + error.message);
    }

    void take(const std::string& path, Ext4::Inode inode, int depth) {
        const bool ours = path == "lost+found" || path == ".tlc-tmp";
        if (ours || covered_by(path, request_.exclude)) return;
        if (auto done = take_one(path, inode, depth); !done) problem(path, done.error());
    }

    Status take_one(const std::string& path, Ext4::Inode inode, int depth) {
        if (depth > deepest) return fail(ErrorKind::damaged, "directories are too deep");
        TLC_TRY_ASSIGN(info, disk_.info(inode, path));
        if (S_ISDIR(info.mode)) return take_directory(path, inode, info, depth);
        if (!S_ISREG(info.mode) && !S_ISLNK(info.mode)) return {};
        const fs::path target = request_.cwd / path;
        std::error_code none;
        if (info.untouched && fs::symlink_status(target, none).type() != fs::file_type::not_found) {
            ++summary.unchanged;
            return {};
        }
        const Temporary temporary{target.parent_path() / fmt::format(".tlc-{}-{}", ::getpid(), inode)};
        ::unlink(temporary.path.c_str());
        if (S_ISLNK(info.mode)) {
            TLC_TRY_ASSIGN(pointee, disk_.read_link(inode));
            if (::symlink(pointee.c_str(), temporary.path.c_str()) != 0)
                return fail_errno(errno, "making the link");
        } else {
            TLC_TRY(copy_out(inode, info, temporary.path));
        }
        if (::rename(temporary.path.c_str(), target.c_str()) != 0)
            return fail_errno(errno, "replacing " + target.string());
        changed_.insert(target.parent_path());
        ++summary.files;
        return {};
    }

    Status take_directory(const std::string& path, Ext4::Inode inode, const Ext4::Info& info, int depth) {
        TLC_TRY_ASSIGN(made, make_directory(path, inode));
        TLC_TRY_ASSIGN(entries, disk_.list(inode));
        for (const auto& entry : entries)
            take(path + "/" + entry.name, entry.inode, depth + 1);
        if (!made) return {};
        const fs::path target = request_.cwd / path;
        const timespec times[2] = {info.modified, info.modified};
        if (::chmod(target.c_str(), permissions(info)) != 0 ||
            ::utimensat(AT_FDCWD, target.c_str(), times, 0) != 0)
            return fail_errno(errno, "setting mode and time");
        return {};
    }

    // True if it was not there.
    Result<bool> make_directory(const std::string& path, Ext4::Inode inode) {
        const fs::path target = request_.cwd / path;
        TLC_TRY_ASSIGN(info, disk_.info(inode, path));
        if (!S_ISDIR(info.mode)) return fail("is not a directory on the work disk");
        if (::mkdir(target.c_str(), permissions(info) | 0700) == 0) {
            changed_.insert(target.parent_path());
            return true;
        }
        const int error = errno;
        struct stat there {};
        if (error == EEXIST && ::lstat(target.c_str(), &there) == 0 && S_ISLNK(there.st_mode) &&
            !may_follow(path))
            return fail("is a symbolic link here and a directory in the virtual machine; name it with "
                        "--vm-stage-in or --vm-stage-out if files are to be written through it");
        if (error == EEXIST && ::stat(target.c_str(), &there) == 0 && S_ISDIR(there.st_mode)) return false;
        return fail_errno(error, "making the directory " + target.string());
    }

    // Whether the user has named the path or something below it.
    bool may_follow(const std::string& path) const {
        if (!request_.staged_in) return true;
        const auto names = [&](const std::string& item) {
            const auto clean = clean_relative(item, "");
            return clean && covered_by(*clean, {path});
        };
        return std::ranges::any_of(*request_.staged_in, names) ||
               std::ranges::any_of(request_.stage_out, names);
    }

    // Set-id bits only where they mean the same user here.
    static mode_t permissions(const Ext4::Info& info) {
        return info.mode & (info.uid == ::geteuid() ? 07777 : 01777);
    }

    Status copy_out(Ext4::Inode inode, const Ext4::Info& info, const fs::path& to) {
        TLC_TRY_ASSIGN(file, open_file(to, O_WRONLY | O_CREAT | O_EXCL));
        uint64_t offset = 0;
        auto write = [&](std::span<const std::byte> part) -> Status {
            const bool hole = std::ranges::all_of(part, [](std::byte byte) { return byte == std::byte{}; });
            if (!hole) TLC_TRY(write_at(file.get(), part, offset));
            offset += part.size();
            return {};
        };
        TLC_TRY(disk_.read_file(inode, write));
        if (offset != info.size)
            return fail(ErrorKind::damaged, "is shorter on the work disk than it should be");
        const timespec times[2] = {info.modified, info.modified};
        if (::ftruncate(file.get(), static_cast<off_t>(offset)) != 0 ||
            ::fchmod(file.get(), permissions(info)) != 0 || ::futimens(file.get(), times) != 0)
            return fail_errno(errno, "finishing the file");
        // A network file system may find out only now that there is no room for it.
        if (::fsync(file.get()) != 0) return fail_errno(errno, "writing the file out");
        summary.bytes += offset;
        return {};
    }

    Ext4& disk_;
    const ReadBackRequest& request_;
    std::set<fs::path> changed_; // directories
};

// The image with its journal replayed, as a sparse copy beside it.
Status repair(const fs::path& image, const fs::path& copy) {
    const std::chrono::minutes limit(30);
    TLC_TRY_ASSIGN(
        copied, run({"cp", "--reflink=auto", "--sparse=always", image.string(), copy.string()}, true, limit));
    if (copied.status.code != 0) return fail("cannot copy the work disk: {}", copied.text);
    TLC_TRY_ASSIGN(checked, run({system_tool("e2fsck"), "-fy", copy.string()}, true, limit));
    // 1 and 2: repaired.
    if (checked.status.code > 3)
        return fail(ErrorKind::damaged, "e2fsck could not repair the work disk {} ({}): {}", image.string(),
                    checked.status.text(), checked.text);
    return {};
}

} // namespace

Result<ReadBackSummary> read_back(const ReadBackRequest& request) {
    std::optional<Temporary> copy;
    TLC_TRY_ASSIGN(opened, Ext4::open(request.image, false));
    if (!opened.clean()) {
        copy.emplace(request.image.string() + ".repaired");
        TLC_TRY(repair(request.image, copy->path));
        TLC_TRY_ASSIGN(again, Ext4::open(copy->path, false));
        opened = std::move(again);
    }
    Reader reader(opened, request);
    if (request.stage_out.empty()) TLC_TRY(reader.everything());
    for (const auto& item : request.stage_out)
        reader.named(item);
    reader.sync_names();
    return std::move(reader.summary);
}

} // namespace tlc
