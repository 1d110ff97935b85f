// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/capture/userfault.hpp>

#include <linux/userfaultfd.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

namespace tlc::userfault {

namespace {
tl::unexpected<Error> failed(int error_number, const char* step) {
    if (error_number == ESRCH) return fail("QEMU has ended meanwhile");
    return fail_errno(error_number, step);
}

constexpr uint64_t stretch = uint64_t{2} << 20;

// Returns 0 or an errno.
int change(int fd, uint64_t address, uint64_t length, uint64_t mode) {
    uffdio_writeprotect request{};
    request.range = {address, length};
    request.mode = mode;
    while (::ioctl(fd, UFFDIO_WRITEPROTECT, &request) < 0)
        if (errno != EAGAIN && errno != EINTR) return errno;
    return 0;
}
} // namespace

Status make_nonblocking(int fd) {
    const int flags = ::fcntl(fd, F_GETFL);
    if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return fail_errno(errno, "cannot make the userfaultfd non-blocking");
    return {};
}

Result<std::optional<Fault>> next(int fd) {
    uffd_msg message{};
    ssize_t n = 0;
    do {
        n = ::read(fd, &message, sizeof message);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN) return std::nullopt;
    if (n < 0) return failed(errno, "cannot read from the userfaultfd");
    if (n != sizeof message || message.event != UFFD_EVENT_PAGEFAULT)
        return fail("unexpected event {} on the userfaultfd", static_cast<unsigned>(message.event));
    return Fault{message.arg.pagefault.address, (message.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP) == 0};
}

Status protect(int fd, uint64_t address, uint64_t length) {
    int error = change(fd, address, length, UFFDIO_WRITEPROTECT_MODE_WP);
    // Before Linux 6.3 a range has to lie in one mapping.
    const uint64_t end = address + length;
    if (error == ENOENT && address / stretch != (end - 1) / stretch) {
        error = 0;
        while (address < end && error == 0) {
            const uint64_t next = std::min((address / stretch + 1) * stretch, end);
            error = change(fd, address, next - address, UFFDIO_WRITEPROTECT_MODE_WP);
            address = next;
        }
    }
    if (error != 0) return failed(error, "cannot write-protect memory");
    return {};
}

Status lift(int fd, uint64_t address, uint64_t length) {
    if (const int error = change(fd, address, length, 0); error != 0)
        return failed(error, "cannot lift write protection");
    return {};
}

Status register_range(int fd, uint64_t address, uint64_t length) {
    uffdio_register request{};
    request.range = {address, length};
    request.mode = UFFDIO_REGISTER_MODE_WP | UFFDIO_REGISTER_MODE_MISSING;
    if (::ioctl(fd, UFFDIO_REGISTER, &request) < 0) return failed(errno, "cannot register memory");
    return {};
}

Result<bool> unregister_range(int fd, uint64_t address, uint64_t length) {
    uffdio_range range{address, length};
    if (::ioctl(fd, UFFDIO_UNREGISTER, &range) == 0) return true;
    if (errno == ENOMEM) return false;
    return failed(errno, "cannot unregister memory");
}

Status fill(int fd, uint64_t address, std::span<const std::byte> data) {
    uint64_t done = 0;
    while (done < data.size()) {
        uffdio_copy request{};
        request.dst = address + done;
        request.src = reinterpret_cast<uintptr_t>(data.data() + done);
        request.len = data.size() - done;
        if (::ioctl(fd, UFFDIO_COPY, &request) == 0) return {};
        const int why = errno;
        // QEMU's mappings are being changed: what was copied counts, the rest is tried again.
        if (request.copy > 0) done += static_cast<uint64_t>(request.copy);
        if (why == EEXIST) return fail("memory at {:#x} was written before it was restored", address + done);
        if (why != EAGAIN && why != EINTR) return failed(why, "cannot put pages into memory");
    }
    return {};
}

Status wake(int fd, uint64_t address, uint64_t length) {
    uffdio_range range{address, length};
    if (::ioctl(fd, UFFDIO_WAKE, &range) < 0) return failed(errno, "cannot wake a waiting thread");
    return {};
}

Status fill_zero(int fd, uint64_t address, uint64_t length, uint64_t page_size) {
    for (;;) {
        uffdio_zeropage request{};
        request.range = {address, length};
        if (::ioctl(fd, UFFDIO_ZEROPAGE, &request) == 0) return {};
        const int why = errno;
        if (why == EAGAIN && request.zeropage >= static_cast<int64_t>(page_size)) return {};
        if (why == EAGAIN || why == EINTR) continue;
        if (why != EEXIST) return failed(why, "cannot map zero pages");
        uffdio_range page{address, page_size};
        if (::ioctl(fd, UFFDIO_WAKE, &page) < 0) return failed(errno, "cannot wake a waiting thread");
        return {};
    }
}

} // namespace tlc::userfault
