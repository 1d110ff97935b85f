// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/supervisor/output.hpp>

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>
#include <vector>

namespace tlc {
namespace {

constexpr size_t block_size = size_t{1} << 18;

bool is_regular(int fd) {
    struct stat info {};
    return ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
}

// Up to to.size() bytes; fewer only at the end of the file.
Result<size_t> read_some(int fd, std::span<std::byte> to, uint64_t offset) {
    size_t done = 0;
    while (done < to.size()) {
        const ssize_t n = ::pread(fd, to.data() + done, to.size() - done, static_cast<off_t>(offset + done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno(errno, "cannot read the console");
        if (n == 0) break;
        done += static_cast<size_t>(n);
    }
    return done;
}

// How many bytes of `output`, from `base` on, equal the start of `console`.
Result<uint64_t> common_length(int console, int output, uint64_t base) {
    std::vector<std::byte> a(block_size);
    std::vector<std::byte> b(block_size);
    for (uint64_t at = 0;;) {
        TLC_TRY_ASSIGN(in_console, read_some(console, a, at));
        TLC_TRY_ASSIGN(in_output, read_some(output, b, base + at));
        const size_t both = std::min(in_console, in_output);
        const auto differ =
            std::mismatch(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(both), b.begin());
        const auto same = static_cast<size_t>(differ.first - a.begin());
        at += same;
        if (same < block_size) return at;
    }
}

} // namespace

uint64_t regular_size(int fd) {
    struct stat info {};
    return ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode) ? static_cast<uint64_t>(info.st_size) : 0;
}

bool same_file(int a, int b) {
    struct stat x {};
    struct stat y {};
    return ::fstat(a, &x) == 0 && ::fstat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

Status OutputFollower::open_console() {
    if (console_) return {};
    TLC_TRY_ASSIGN(fd, open_file(console_path_, O_RDONLY | O_CREAT));
    console_ = std::move(fd);
    return {};
}

Status OutputFollower::reconcile(bool shown) {
    TLC_TRY(open_console());
    if (!is_regular(output_fd_)) {
        done_ = shown ? regular_size(console_.get()) : 0;
        return {};
    }
    // The output was opened for writing only; its own entry in /proc opens it for reading.
    TLC_TRY_ASSIGN(reader, open_file(fmt::format("/proc/self/fd/{}", output_fd_), O_RDONLY));
    base_ = std::min(base_, regular_size(output_fd_));
    TLC_TRY_ASSIGN(common, common_length(console_.get(), reader.get(), base_));
    const auto kept = static_cast<off_t>(base_ + common);
    if (::ftruncate(output_fd_, kept) != 0) return fail_errno(errno, "cannot cut the job's output back");
    ::lseek(output_fd_, kept, SEEK_SET);
    done_ = common;
    return pump();
}

Status OutputFollower::pump() {
    TLC_TRY(open_console());
    std::array<std::byte, size_t{1} << 16> block;
    for (;;) {
        TLC_TRY_ASSIGN(size, read_some(console_.get(), block, done_));
        for (size_t at = 0; at < size;) {
            const ssize_t n = ::write(output_fd_, block.data() + at, size - at);
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) return fail_errno(errno, "cannot write the job's output");
            at += static_cast<size_t>(n);
            done_ += static_cast<uint64_t>(n);
        }
        if (size < block.size()) return {};
    }
}

Status OutputFollower::finish() {
    TLC_TRY(pump());
    if (is_regular(output_fd_) && ::fsync(output_fd_) != 0)
        return fail_errno(errno, "cannot write the job's output");
    return {};
}

} // namespace tlc
