// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/files.hpp>

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

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
        if (text.size() > limit) return fail("{} is larger than {} bytes", path.string(), limit);
    }
}

Status publish_text(const std::filesystem::path& path, std::string_view text, mode_t mode) {
    std::string temporary = path.string() + ".XXXXXX";
    Fd fd(::mkostemp(temporary.data(), O_CLOEXEC));
    if (!fd) return fail_errno(errno, fmt::format("cannot create a temporary file beside {}", path.string()));
    auto written = [&]() -> Status {
        if (::fchmod(fd.get(), mode) != 0) return fail_errno(errno, "fchmod");
        TLC_TRY(write_all(fd.get(), std::as_bytes(std::span(text))));
        if (::fsync(fd.get()) != 0) return fail_errno(errno, "fsync");
        return publish_rename(temporary, path);
    }();
    if (written) return {};
    ::unlink(temporary.c_str());
    return in_context(written.error(), fmt::format("cannot write {}", path.string()));
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

Status copy_file(const std::filesystem::path& from, const std::filesystem::path& to, mode_t mode) {
    TLC_TRY_ASSIGN(source, open_file(from, O_RDONLY));
    TLC_TRY_ASSIGN(target, open_file(to, O_WRONLY | O_CREAT | O_EXCL, mode));
    if (::ioctl(target.get(), FICLONE, source.get()) == 0) return {};
    for (;;) {
        const ssize_t n = ::sendfile(target.get(), source.get(), nullptr, size_t{1} << 30);
        if (n == 0) return {};
        if (n < 0 && errno != EINTR) {
            const int error = errno;
            ::unlink(to.c_str());
            return fail_errno(error, fmt::format("cannot copy {} to {}", from.string(), to.string()));
        }
    }
}

Result<uint64_t> free_space(const std::filesystem::path& path) {
    struct statvfs info {};
    if (::statvfs(path.c_str(), &info) != 0)
        return fail_errno(errno, fmt::format("cannot look at the file system of {}", path.string()));
    return uint64_t{info.f_bavail} * info.f_frsize;
}

} // namespace tlc
