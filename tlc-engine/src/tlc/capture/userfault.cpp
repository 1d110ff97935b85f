// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/capture/userfault.hpp>

#include <linux/userfaultfd.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

namespace tlc::userfault {

namespace {
tl::unexpected<Error> failed(int error_number, const char* step) {
    if (error_number == ESRCH) return fail("QEMU has ended while its memory was captured");
    return fail_errno(error_number, step);
}

Status change(int fd, uint64_t address, uint64_t length, uint64_t mode, const char* step) {
    uffdio_writeprotect request{};
    request.range = {address, length};
    request.mode = mode;
    while (::ioctl(fd, UFFDIO_WRITEPROTECT, &request) < 0)
        if (errno != EAGAIN && errno != EINTR) return failed(errno, step);
    return {};
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
    return change(fd, address, length, UFFDIO_WRITEPROTECT_MODE_WP, "cannot write-protect memory");
}

Status lift(int fd, uint64_t address, uint64_t length) {
    return change(fd, address, length, 0, "cannot lift write protection");
}

Status watch(int fd, uint64_t address, uint64_t length) {
    uffdio_register request{};
    request.range = {address, length};
    request.mode = UFFDIO_REGISTER_MODE_WP | UFFDIO_REGISTER_MODE_MISSING;
    if (::ioctl(fd, UFFDIO_REGISTER, &request) < 0) return failed(errno, "cannot watch memory");
    return {};
}

Status unwatch(int fd, uint64_t address, uint64_t length) {
    uffdio_range range{address, length};
    if (::ioctl(fd, UFFDIO_UNREGISTER, &range) < 0) return failed(errno, "cannot stop watching memory");
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
