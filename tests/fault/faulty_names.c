// SPDX-License-Identifier: GPL-2.0-or-later
// The calls that open files and change directories.
#include <sys/stat.h>
#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fault_paths.h"
#include "fault_plan.h"

static int failed(struct call call, const char* name) {
    errno = call.error;
    fault_end(call, "failed\t%s", name);
    return -1;
}

static int open_at(int directory_fd, const char* path, int flags, mode_t mode) {
    struct below found;
    if (!path_below(directory_fd, path, &found)) {
        const int fd = (int)syscall(SYS_openat, directory_fd, path, flags, mode);
        remember_fd(fd, NULL);
        return fd;
    }
    const bool creates = (flags & O_CREAT) != 0;
    const struct call call = fault_begin("open", found.path, creates ? call_needs_space : call_plain);
    if (call.error != 0) return failed(call, "open");
    const bool existed = !creates || inode_of(directory_fd, path) != 0;
    const int fd = (int)syscall(SYS_openat, directory_fd, path, flags, mode);
    remember_fd(fd, found.path);
    struct below opened;
    if (fd < 0 || !fd_below(fd, &opened))
        fault_end(call, "nothing");
    else if ((flags & O_TMPFILE) == O_TMPFILE || (flags & O_DSYNC) != 0)
        fault_end(call, "unknown\topen with flags %x", (unsigned)flags);
    else if (!existed)
        fault_end(call, "create\t%s\t%lu", found.path, (unsigned long)opened.inode);
    else if ((flags & O_TRUNC) != 0)
        fault_end(call, "truncate\t%lu\t0", (unsigned long)opened.inode);
    else
        fault_end(call, "nothing");
    return fd;
}

static mode_t mode_from(int flags, va_list arguments) {
    const bool given = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
    return given ? va_arg(arguments, mode_t) : 0;
}

#define OPEN(name)                                                                                           \
    int name(const char* path, int flags, ...) {                                                             \
        va_list arguments;                                                                                   \
        va_start(arguments, flags);                                                                          \
        const mode_t mode = mode_from(flags, arguments);                                                     \
        va_end(arguments);                                                                                   \
        return open_at(AT_FDCWD, path, flags, mode);                                                         \
    }
#define OPENAT(name)                                                                                         \
    int name(int directory_fd, const char* path, int flags, ...) {                                           \
        va_list arguments;                                                                                   \
        va_start(arguments, flags);                                                                          \
        const mode_t mode = mode_from(flags, arguments);                                                     \
        va_end(arguments);                                                                                   \
        return open_at(directory_fd, path, flags, mode);                                                     \
    }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

// What open() becomes under _FORTIFY_SOURCE.
int __open_2(const char* path, int flags) { return open_at(AT_FDCWD, path, flags, 0); }
int __open64_2(const char* path, int flags) { return open_at(AT_FDCWD, path, flags, 0); }
int __openat_2(int fd, const char* path, int flags) { return open_at(fd, path, flags, 0); }
int __openat64_2(int fd, const char* path, int flags) { return open_at(fd, path, flags, 0); }

int creat(const char* path, mode_t mode) {
    return open_at(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode);
}
int creat64(const char* path, mode_t mode) { return creat(path, mode); }

// The C library's own would call its open() without us.
int mkostemp(char* name, int flags) {
    static unsigned counter;
    const size_t length = strlen(name);
    if (length < 6 || strcmp(name + length - 6, "XXXXXX") != 0) {
        errno = EINVAL;
        return -1;
    }
    for (int attempt = 0; attempt < 100; ++attempt) {
        char digits[7];
        snprintf(digits, sizeof digits, "%06x",
                 __atomic_add_fetch(&counter, 1, __ATOMIC_RELAXED) & 0xffffffU);
        memcpy(name + length - 6, digits, 6);
        if (inode_of(AT_FDCWD, name) != 0) continue;
        return open_at(AT_FDCWD, name, (flags & ~O_ACCMODE) | O_RDWR | O_CREAT | O_EXCL, 0600);
    }
    errno = EEXIST;
    return -1;
}
int mkostemp64(char* name, int flags) { return mkostemp(name, flags); }
int mkstemp(char* name) { return mkostemp(name, 0); }
int mkstemp64(char* name) { return mkostemp(name, 0); }

int close(int fd) {
    remember_fd(fd, NULL);
    return (int)syscall(SYS_close, fd);
}

int mkdirat(int directory_fd, const char* path, mode_t mode) {
    struct below found;
    if (!path_below(directory_fd, path, &found)) return (int)syscall(SYS_mkdirat, directory_fd, path, mode);
    const struct call call = fault_begin("mkdir", found.path, call_needs_space);
    if (call.error != 0) return failed(call, "mkdir");
    const int result = (int)syscall(SYS_mkdirat, directory_fd, path, mode);
    if (result == 0)
        fault_end(call, "mkdir\t%s\t%lu", found.path, (unsigned long)inode_of(directory_fd, path));
    else
        fault_end(call, "nothing");
    return result;
}
int mkdir(const char* path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

int unlinkat(int directory_fd, const char* path, int flags) {
    struct below found;
    if (!path_below(directory_fd, path, &found)) return (int)syscall(SYS_unlinkat, directory_fd, path, flags);
    const char* name = (flags & AT_REMOVEDIR) != 0 ? "rmdir" : "unlink";
    const struct call call = fault_begin(name, found.path, call_plain);
    if (call.error != 0) return failed(call, name);
    const int result = (int)syscall(SYS_unlinkat, directory_fd, path, flags);
    if (result == 0)
        fault_end(call, "%s\t%s", name, found.path);
    else
        fault_end(call, "nothing");
    return result;
}
int unlink(const char* path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char* path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }
int remove(const char* path) {
    struct stat info;
    if (syscall(SYS_newfstatat, AT_FDCWD, path, &info, AT_SYMLINK_NOFOLLOW) != 0) return -1;
    return unlinkat(AT_FDCWD, path, S_ISDIR(info.st_mode) ? AT_REMOVEDIR : 0);
}

// rename and link: two paths. One of them outside is more than the journal can say.
static int two_paths(const char* name, struct call call, int result, const struct below* from,
                     bool from_below, const struct below* to, bool to_below) {
    if (result != 0)
        fault_end(call, "nothing");
    else if (!from_below || !to_below)
        fault_end(call, "unknown\t%s over the border", name);
    else
        fault_end(call, "%s\t%s\t%s", name, from->path, to->path);
    return result;
}

int renameat2(int from_fd, const char* from, int to_fd, const char* to, unsigned flags) {
    struct below old;
    struct below new;
    const bool from_below = path_below(from_fd, from, &old);
    const bool to_below = path_below(to_fd, to, &new);
    if (!from_below && !to_below) return (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);
    const struct call call = fault_begin("rename", to_below ? new.path : old.path, call_needs_space);
    if (call.error != 0) return failed(call, "rename");
    const int result = (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);
    if (result == 0 && flags != 0) {
        fault_end(call, "unknown\trenameat2 with flags");
        return result;
    }
    return two_paths("rename", call, result, &old, from_below, &new, to_below);
}
int renameat(int from_fd, const char* from, int to_fd, const char* to) {
    return renameat2(from_fd, from, to_fd, to, 0);
}
int rename(const char* from, const char* to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }

int linkat(int from_fd, const char* from, int to_fd, const char* to, int flags) {
    struct below old;
    struct below new;
    const bool from_below = path_below(from_fd, from, &old);
    const bool to_below = path_below(to_fd, to, &new);
    if (!from_below && !to_below) return (int)syscall(SYS_linkat, from_fd, from, to_fd, to, flags);
    const struct call call = fault_begin("link", to_below ? new.path : old.path, call_needs_space);
    if (call.error != 0) return failed(call, "link");
    const int result = (int)syscall(SYS_linkat, from_fd, from, to_fd, to, flags);
    return two_paths("link", call, result, &old, from_below, &new, to_below);
}
int link(const char* from, const char* to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int symlinkat(const char* target, int directory_fd, const char* path) {
    struct below found;
    if (!path_below(directory_fd, path, &found))
        return (int)syscall(SYS_symlinkat, target, directory_fd, path);
    const struct call call = fault_begin("symlink", found.path, call_needs_space);
    if (call.error != 0) return failed(call, "symlink");
    const int result = (int)syscall(SYS_symlinkat, target, directory_fd, path);
    fault_end(call, result == 0 ? "unknown\tsymlink" : "nothing");
    return result;
}
int symlink(const char* target, const char* path) { return symlinkat(target, AT_FDCWD, path); }
