// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/files.hpp>
#include <tlc/export/output_file.hpp>

#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <unistd.h>

namespace tlc {
namespace {

tl::unexpected<Error> exists_already(const std::filesystem::path& path) {
    return fail(ErrorKind::usage, "{} exists already: remove it or name another file", path.string());
}

// rename(2) that replaces nothing. 0 or an errno.
int rename_new(const char* from, const char* to) {
    if (::renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) return 0;
    if (errno != EINVAL && errno != ENOSYS) return errno;
    // The file system cannot, NFS for one.
    if (::link(from, to) != 0) return errno;
    ::unlink(from);
    return 0;
}

} // namespace

Result<OutputFile> OutputFile::create(const std::filesystem::path& path) {
    if (!path.has_filename()) return fail(ErrorKind::usage, "\"{}\" is no name of a file", path.string());
    struct stat info {};
    if (::lstat(path.c_str(), &info) == 0) return exists_already(path);
    std::string temporary =
        (path.parent_path() / fmt::format(".{}.XXXXXX", path.filename().string())).string();
    Fd fd(::mkostemp(temporary.data(), O_CLOEXEC));
    if (!fd) return fail_errno(errno, fmt::format("cannot create a file beside {}", path.string()));
    return OutputFile(path, temporary, std::move(fd));
}

OutputFile::~OutputFile() {
    if (fd_) ::unlink(temporary_.c_str());
}

Status OutputFile::publish() {
    if (::fsync(fd_.get()) != 0) return fail_errno(errno, fmt::format("cannot sync {}", path_.string()));
    if (const int error = rename_new(temporary_.c_str(), path_.c_str()); error != 0) {
        if (error == EEXIST) return exists_already(path_);
        return fail_errno(error, fmt::format("cannot give {} its name", path_.string()));
    }
    fd_.reset();
    return sync_path(path_.has_parent_path() ? path_.parent_path() : ".");
}

} // namespace tlc
