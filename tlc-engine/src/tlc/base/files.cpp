// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/files.hpp>

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>
#include <vector>

namespace tlc {

Result<std::string> read_text(const std::filesystem::path& path, size_t limit) {
    TLC_TRY_ASSIGN(fd, open_file(path, O_RDONLY));
    std::string text;
    char buffer[1 << 16];
    for (;;) {
        const ssize_t n = ::read(fd.get(), buffer, sizeof buffer);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno(errno, fmt::format("cannot read {}", path.string()));
        if (n == 0) return text;
        text.append(buffer, static_cast<size_t>(n));
        if (text.size() > limit)
            return fail(ErrorKind::damaged, "{} is larger than {} bytes", path.string(), limit);
    }
}

namespace {

// Writes a temporary file beside `path` and renames it to that.
Status write_beside(const std::filesystem::path& path, std::string_view text, mode_t mode, bool durable) {
    std::string temporary = path.string() + ".XXXXXX";
    Fd fd(::mkostemp(temporary.data(), O_CLOEXEC));
    if (!fd) return fail_errno(errno, fmt::format("cannot create a temporary file beside {}", path.string()));
    auto written = [&]() -> Status {
        if (::fchmod(fd.get(), mode) != 0) return fail_errno(errno, "fchmod");
        TLC_TRY(write_all(fd.get(), std::as_bytes(std::span(text))));
        if (durable && ::fsync(fd.get()) != 0) return fail_errno(errno, "fsync");
        if (durable) return publish_rename(temporary, path);
        if (::rename(temporary.c_str(), path.c_str()) != 0) return fail_errno(errno, "rename");
        return {};
    }();
    if (written) return {};
    ::unlink(temporary.c_str());
    return in_context(written.error(), fmt::format("cannot write {}", path.string()));
}

} // namespace

Status publish_text(const std::filesystem::path& path, std::string_view text, mode_t mode) {
    return write_beside(path, text, mode, true);
}

Status replace_text(const std::filesystem::path& path, std::string_view text, mode_t mode) {
    return write_beside(path, text, mode, false);
}

Status publish_rename(const std::filesystem::path& from, const std::filesystem::path& to) {
    if (::rename(from.c_str(), to.c_str()) != 0)
        return fail_errno(errno, fmt::format("cannot rename {} to {}", from.string(), to.string()));
    return sync_path(to.has_parent_path() ? to.parent_path() : ".");
}

Status sync_path(const std::filesystem::path& path) {
    TLC_TRY_ASSIGN(fd, open_file(path, O_RDONLY));
    if (::fsync(fd.get()) != 0) return fail_errno(errno, fmt::format("cannot sync {}", path.string()));
    return {};
}

Status make_directory(const std::filesystem::path& path, mode_t mode) {
    if (::mkdir(path.c_str(), mode) == 0) return {};
    if (errno == EEXIST) return fail(ErrorKind::busy, "{} exists already", path.string());
    return fail_errno(errno, fmt::format("cannot create directory {}", path.string()));
}

namespace {

// Copies [from, end) to the same place, whatever the file systems are.
Status copy_range(int source, int target, off_t from, off_t end) {
    std::vector<std::byte> buffer;
    for (off_t at = from; at < end;) {
        if (buffer.empty()) {
            off_t in = at;
            off_t out = at;
            const ssize_t n = ::copy_file_range(source, &in, target, &out, static_cast<size_t>(end - at), 0);
            if (n > 0) {
                at += n;
                continue;
            }
            if (n < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EIO))
                return fail_errno(errno, "copying");
            // It cannot be done by the kernel here; whatever else is wrong shows itself again below.
            buffer.resize(size_t{1} << 20);
        }
        const auto part = std::span(buffer).first(std::min(buffer.size(), static_cast<size_t>(end - at)));
        TLC_TRY(read_at(source, part, static_cast<uint64_t>(at)));
        TLC_TRY(write_at(target, part, static_cast<uint64_t>(at)));
        at += static_cast<off_t>(part.size());
    }
    return {};
}

Status copy_data(int source, int target, off_t size) {
    for (off_t at = 0; at < size;) {
        off_t data = ::lseek(source, at, SEEK_DATA);
        if (data < 0 && errno == ENXIO) break; // only a hole is left
        off_t hole = data < 0 ? size : ::lseek(source, data, SEEK_HOLE);
        if (data < 0) data = at; // the file system does not tell
        hole = hole < 0 ? size : std::min(hole, size);
        TLC_TRY(copy_range(source, target, data, hole));
        at = hole;
    }
    if (::ftruncate(target, size) != 0) return fail_errno(errno, "setting the size");
    return {};
}

} // namespace

Status clone_file(const std::filesystem::path& from, const std::filesystem::path& to, mode_t mode) {
    TLC_TRY_ASSIGN(source, open_file(from, O_RDONLY));
    TLC_TRY_ASSIGN(target, open_file(to, O_WRONLY | O_CREAT | O_EXCL, mode));
    if (::ioctl(target.get(), FICLONE, source.get()) == 0) return {};
    const int error = errno;
    ::unlink(to.c_str());
    return fail_errno(error, fmt::format("cannot clone {} as {}", from.string(), to.string()));
}

Status copy_file(const std::filesystem::path& from, const std::filesystem::path& to, mode_t mode,
                 std::optional<uint64_t> bytes) {
    TLC_TRY_ASSIGN(source, open_file(from, O_RDONLY));
    struct stat info {};
    if (::fstat(source.get(), &info) != 0)
        return fail_errno(errno, fmt::format("cannot look at {}", from.string()));
    const off_t size = bytes ? static_cast<off_t>(*bytes) : info.st_size;
    if (size > info.st_size) return fail("{} has only {} of {} bytes", from.string(), info.st_size, size);
    TLC_TRY_ASSIGN(target, open_file(to, O_WRONLY | O_CREAT | O_EXCL, mode));
    Status copied;
    if (::ioctl(target.get(), FICLONE, source.get()) != 0)
        copied = copy_data(source.get(), target.get(), size);
    else if (::ftruncate(target.get(), size) != 0)
        copied = fail_errno(errno, "setting the size");
    if (copied) return {};
    ::unlink(to.c_str());
    return in_context(copied.error(), fmt::format("cannot copy {} to {}", from.string(), to.string()));
}

Result<Fd> nameless_file(const std::filesystem::path& directory) {
    std::string name = (directory / ".tlc-file-XXXXXX").string();
    Fd fd(::mkostemp(name.data(), O_CLOEXEC));
    if (!fd) return fail_errno(errno, fmt::format("cannot make a file in {}", directory.string()));
    ::unlink(name.c_str());
    return fd;
}

Status try_writing(const std::filesystem::path& directory, size_t bytes) {
    TLC_TRY_ASSIGN(file, nameless_file(directory));
    TLC_TRY(write_all(file.get(), std::vector<std::byte>(bytes, std::byte{1})));
    if (::fsync(file.get()) != 0)
        return fail_errno(errno, fmt::format("cannot sync a file in {}", directory.string()));
    return {};
}

Result<uint64_t> size_of_file(const std::filesystem::path& path) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0)
        return fail_errno(errno, fmt::format("cannot look at {}", path.string()));
    return static_cast<uint64_t>(info.st_size);
}

Result<uint64_t> free_space(const std::filesystem::path& path) {
    struct statvfs info {};
    if (::statvfs(path.c_str(), &info) != 0)
        return fail_errno(errno, fmt::format("cannot look at the file system of {}", path.string()));
    return uint64_t{info.f_bavail} * info.f_frsize;
}

} // namespace tlc
