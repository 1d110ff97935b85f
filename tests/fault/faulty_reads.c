// SPDX-License-Identifier: GPL-2.0-or-later
// The calls that read and look. They change nothing, but they can fail.
#include <sys/stat.h>
#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "fault_paths.h"
#include "fault_plan.h"

// Whether the call is to fail; it is counted.
static bool fails(const char* name, const struct below* found) {
    const struct call call = fault_begin(name, found->path, call_plain);
    if (call.error != 0) errno = call.error;
    fault_end(call, call.error != 0 ? "failed\t%s" : "nothing", name);
    return call.error != 0;
}

ssize_t read(int fd, void* to, size_t length) {
    struct below found;
    if (fd_below(fd, &found) && fails("read", &found)) return -1;
    return syscall(SYS_read, fd, to, length);
}
ssize_t pread(int fd, void* to, size_t length, off_t offset) {
    struct below found;
    if (fd_below(fd, &found) && fails("read", &found)) return -1;
    return syscall(SYS_pread64, fd, to, length, offset);
}
ssize_t pread64(int fd, void* to, size_t length, off64_t offset) { return pread(fd, to, length, offset); }

int fstatat(int directory_fd, const char* restrict path, struct stat* restrict info, int flags) {
    struct below found;
    if (path_below(directory_fd, path, &found) && fails("stat", &found)) return -1;
    return (int)syscall(SYS_newfstatat, directory_fd, path, info, flags);
}
int stat(const char* restrict path, struct stat* restrict info) { return fstatat(AT_FDCWD, path, info, 0); }
int lstat(const char* restrict path, struct stat* restrict info) {
    return fstatat(AT_FDCWD, path, info, AT_SYMLINK_NOFOLLOW);
}
int fstat(int fd, struct stat* info) {
    struct below found;
    if (fd_below(fd, &found) && fails("stat", &found)) return -1;
    return (int)syscall(SYS_fstat, fd, info);
}

// The same structure on this processor.
int fstatat64(int directory_fd, const char* restrict path, struct stat64* restrict info, int flags) {
    return fstatat(directory_fd, path, (struct stat*)info, flags);
}
int stat64(const char* restrict path, struct stat64* restrict info) { return stat(path, (struct stat*)info); }
int lstat64(const char* restrict path, struct stat64* restrict info) {
    return lstat(path, (struct stat*)info);
}
int fstat64(int fd, struct stat64* info) { return fstat(fd, (struct stat*)info); }
