// SPDX-License-Identifier: GPL-2.0-or-later
// The calls that write files and make them durable.
#include <linux/fs.h>
#include <sys/syscall.h>
#include <sys/types.h>

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <unistd.h>

#include "fault_paths.h"
#include "fault_plan.h"

static const off_t at_position = -1;

static ssize_t put(int fd, const struct iovec* parts, int count, off_t offset) {
    if (offset == at_position) return syscall(SYS_writev, fd, parts, count);
    return syscall(SYS_pwritev, fd, parts, count, offset, 0);
}

static off_t position(int fd) {
    const long flags = syscall(SYS_fcntl, fd, F_GETFL);
    const off_t here = syscall(SYS_lseek, fd, 0, SEEK_CUR);
    if ((flags & O_APPEND) == 0) return here;
    const off_t end = syscall(SYS_lseek, fd, 0, SEEK_END);
    syscall(SYS_lseek, fd, here, SEEK_SET);
    return end;
}

// Half of the first part; what goes past the page cache needs whole blocks.
static size_t half(int fd, size_t length) {
    const bool direct = (syscall(SYS_fcntl, fd, F_GETFL) & O_DIRECT) != 0;
    return direct ? length / 2 / 4096 * 4096 : length / 2;
}

static ssize_t write_parts(int fd, const struct iovec* parts, int count, off_t offset) {
    struct below found;
    if (!fd_below(fd, &found)) return put(fd, parts, count, offset);
    const bool can_be_half = count > 0 && half(fd, parts[0].iov_len) > 0;
    const int flags = call_needs_space | (can_be_half ? call_writes : 0);
    const struct call call = fault_begin("write", found.path, flags);
    if (call.error != 0) {
        errno = call.error;
        fault_end(call, "failed\twrite");
        return -1;
    }
    const off_t start = offset == at_position ? position(fd) : offset;
    struct iovec shortened = {NULL, 0};
    if (call.shortened) {
        shortened = (struct iovec){parts[0].iov_base, half(fd, parts[0].iov_len)};
        parts = &shortened;
        count = 1;
    }
    const ssize_t done = put(fd, parts, count, offset);
    if (done <= 0) {
        fault_end(call, "nothing");
        return done;
    }
    const long long kept = fault_keep(parts, count, (size_t)done);
    fault_end(call, "write\t%lu\t%lld\t%zd\t%lld", (unsigned long)found.inode, (long long)start, done, kept);
    return done;
}

ssize_t write(int fd, const void* data, size_t length) {
    const struct iovec part = {(void*)(uintptr_t)data, length};
    return write_parts(fd, &part, 1, at_position);
}
ssize_t pwrite(int fd, const void* data, size_t length, off_t offset) {
    const struct iovec part = {(void*)(uintptr_t)data, length};
    return write_parts(fd, &part, 1, offset);
}
ssize_t pwrite64(int fd, const void* data, size_t length, off64_t offset) {
    return pwrite(fd, data, length, offset);
}
ssize_t writev(int fd, const struct iovec* parts, int count) {
    return write_parts(fd, parts, count, at_position);
}
ssize_t pwritev(int fd, const struct iovec* parts, int count, off_t offset) {
    return write_parts(fd, parts, count, offset);
}
ssize_t pwritev64(int fd, const struct iovec* parts, int count, off64_t offset) {
    return write_parts(fd, parts, count, offset);
}

static int sync_fd(int fd, long number, const char* name) {
    struct below found;
    if (!fd_below(fd, &found)) return (int)syscall(number, fd);
    const struct call call = fault_begin(name, found.path, call_needs_space);
    if (call.error != 0) {
        errno = call.error;
        fault_end(call, "lost\t%lu", (unsigned long)found.inode);
        return -1;
    }
    if (fault_swallows(found.path)) {
        fault_end(call, "nothing");
        return 0;
    }
    const int result = (int)syscall(number, fd);
    fault_end(call, "%s\t%lu", result == 0 ? "sync" : "lost", (unsigned long)found.inode);
    return result;
}
int fsync(int fd) { return sync_fd(fd, SYS_fsync, "fsync"); }
int fdatasync(int fd) { return sync_fd(fd, SYS_fdatasync, "fdatasync"); }

// What makes nothing durable, or more than the journal can say: `what` is the line of a success.
#define COUNTED(name, fd, flags, system_call, what)                                                          \
    struct below found;                                                                                      \
    if (!fd_below(fd, &found)) return system_call;                                                           \
    const struct call call = fault_begin(name, found.path, flags);                                           \
    if (call.error != 0) {                                                                                   \
        errno = call.error;                                                                                  \
        fault_end(call, "failed\t" name);                                                                    \
        return -1;                                                                                           \
    }                                                                                                        \
    const long result = system_call;                                                                         \
    fault_end(call, "%s", result >= 0 ? what : "nothing");                                                   \
    return (__typeof__(system_call))result

int sync_file_range(int fd, off64_t offset, off64_t bytes, unsigned flags) {
    COUNTED("sync_file_range", fd, call_plain, (int)syscall(SYS_sync_file_range, fd, offset, bytes, flags),
            "nothing");
}
int syncfs(int fd) { COUNTED("syncfs", fd, call_plain, (int)syscall(SYS_syncfs, fd), "unknown\tsyncfs"); }
int fallocate(int fd, int mode, off_t offset, off_t length) {
    COUNTED("fallocate", fd, call_needs_space, (int)syscall(SYS_fallocate, fd, mode, offset, length),
            "unknown\tfallocate");
}
int fallocate64(int fd, int mode, off64_t offset, off64_t length) {
    return fallocate(fd, mode, offset, length);
}
int posix_fallocate(int fd, off_t offset, off_t length) {
    return fallocate(fd, 0, offset, length) == 0 ? 0 : errno;
}
int posix_fallocate64(int fd, off64_t offset, off64_t length) { return posix_fallocate(fd, offset, length); }

ssize_t copy_file_range(int from, off64_t* from_at, int to, off64_t* to_at, size_t length, unsigned flags) {
    COUNTED("copy_file_range", to, call_needs_space,
            syscall(SYS_copy_file_range, from, from_at, to, to_at, length, flags),
            "unknown\tcopy_file_range");
}
ssize_t sendfile(int to, int from, off_t* offset, size_t length) {
    COUNTED("sendfile", to, call_needs_space, syscall(SYS_sendfile, to, from, offset, length),
            "unknown\tsendfile");
}
ssize_t sendfile64(int to, int from, off64_t* offset, size_t length) {
    return sendfile(to, from, offset, length);
}

int ioctl(int fd, unsigned long request, ...) {
    va_list arguments;
    va_start(arguments, request);
    void* argument = va_arg(arguments, void*);
    va_end(arguments);
    if (request != FICLONE && request != FICLONERANGE) return (int)syscall(SYS_ioctl, fd, request, argument);
    COUNTED("ioctl", fd, call_needs_space, (int)syscall(SYS_ioctl, fd, request, argument), "unknown\tclone");
}

int ftruncate(int fd, off_t length) {
    struct below found;
    if (!fd_below(fd, &found)) return (int)syscall(SYS_ftruncate, fd, length);
    const struct call call = fault_begin("truncate", found.path, call_needs_space);
    if (call.error != 0) {
        errno = call.error;
        fault_end(call, "failed\ttruncate");
        return -1;
    }
    const int result = (int)syscall(SYS_ftruncate, fd, length);
    if (result == 0)
        fault_end(call, "truncate\t%lu\t%lld", (unsigned long)found.inode, (long long)length);
    else
        fault_end(call, "nothing");
    return result;
}
int ftruncate64(int fd, off64_t length) { return ftruncate(fd, length); }

int truncate(const char* path, off_t length) {
    struct below found;
    if (!path_below(AT_FDCWD, path, &found)) return (int)syscall(SYS_truncate, path, length);
    const ino_t inode = inode_of(AT_FDCWD, path);
    const struct call call = fault_begin("truncate", found.path, call_needs_space);
    if (call.error != 0) {
        errno = call.error;
        fault_end(call, "failed\ttruncate");
        return -1;
    }
    const int result = (int)syscall(SYS_truncate, path, length);
    if (result == 0)
        fault_end(call, "truncate\t%lu\t%lld", (unsigned long)inode, (long long)length);
    else
        fault_end(call, "nothing");
    return result;
}
int truncate64(const char* path, off64_t length) { return truncate(path, length); }
