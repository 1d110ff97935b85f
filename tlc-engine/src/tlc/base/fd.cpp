// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/fd.hpp>

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

namespace tlc {

void Fd::reset(int fd) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
}

Result<Fd> open_file(const std::filesystem::path& path, int flags, mode_t mode) {
    int fd = -1;
    do {
        fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0) return fail_errno(errno, fmt::format("cannot open {}", path.string()));
    return Fd(fd);
}

namespace {
// Runs one(done) until size bytes are through; one returns what read(2) and write(2) return.
template <typename Step>
Status repeat(const char* what, size_t size, Step one) {
    for (size_t done = 0; done < size;) {
        const ssize_t n = one(done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno(errno, what);
        if (n == 0) return fail("{}: end of file after {} of {} bytes", what, done, size);
        done += static_cast<size_t>(n);
    }
    return {};
}
} // namespace

Status read_at(int fd, std::span<std::byte> to, uint64_t offset) {
    return repeat("read", to.size(), [&](size_t done) {
        return ::pread(fd, to.data() + done, to.size() - done, static_cast<off_t>(offset + done));
    });
}

Status write_at(int fd, std::span<const std::byte> from, uint64_t offset) {
    return repeat("write", from.size(), [&](size_t done) {
        return ::pwrite(fd, from.data() + done, from.size() - done, static_cast<off_t>(offset + done));
    });
}

Status write_all(int fd, std::span<const std::byte> from) {
    return repeat("write", from.size(),
                  [&](size_t done) { return ::write(fd, from.data() + done, from.size() - done); });
}

} // namespace tlc
