// SPDX-License-Identifier: GPL-2.0-or-later
// Fd owns one file descriptor and closes it. Move only. Not thread-safe; the descriptor itself may be shared.
#pragma once

#include <tlc/base/result.hpp>

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <utility>

namespace tlc {

class Fd {
  public:
    Fd() = default;
    explicit Fd(int fd) : fd_(fd) {}
    Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Fd& operator=(Fd&& other) noexcept {
        if (this != &other) reset(std::exchange(other.fd_, -1));
        return *this;
    }
    Fd(const Fd&) = delete;
    Fd& operator=(const Fd&) = delete;
    ~Fd() { reset(); }

    int get() const { return fd_; }
    bool valid() const { return fd_ >= 0; }
    explicit operator bool() const { return valid(); }
    int release() { return std::exchange(fd_, -1); }
    void reset(int fd = -1);

  private:
    int fd_ = -1;
};

// open(2) with O_CLOEXEC added. The error names the path.
Result<Fd> open_file(const std::filesystem::path& path, int flags, mode_t mode = 0600);

// Read or write all of it at an offset, through EINTR and short counts. Reading past the end is an error.
Status read_at(int fd, std::span<std::byte> to, uint64_t offset);
Status write_at(int fd, std::span<const std::byte> from, uint64_t offset);
Status write_all(int fd, std::span<const std::byte> from);

} // namespace tlc
