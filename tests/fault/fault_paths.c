// SPDX-License-Identifier: GPL-2.0-or-later
#include "fault_paths.h"

#include <sys/stat.h>
#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fault_plan.h"

enum { most_fds = 1024 };

// Not every way to close or open one leads through us (closedir, pipes), so a descriptor must still be the
// file it was.
static struct {
    char* path;
    dev_t device;
    ino_t inode;
} known[most_fds];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static bool look(int directory_fd, const char* path, int flags, struct stat* info) {
    const int error = errno;
    const bool there = syscall(SYS_newfstatat, directory_fd, path, info, flags) == 0;
    errno = error;
    return there;
}

void remember_fd(int fd, const char* path) {
    if (fd < 0 || fd >= most_fds) return;
    struct stat info;
    const bool keep = path != NULL && look(fd, "", AT_EMPTY_PATH, &info);
    pthread_mutex_lock(&mutex);
    free(known[fd].path);
    known[fd].path = keep ? strdup(path) : NULL;
    if (keep) {
        known[fd].device = info.st_dev;
        known[fd].inode = info.st_ino;
    }
    pthread_mutex_unlock(&mutex);
}

bool fd_below(int fd, struct below* found) {
    if (fault_directory() == NULL || fd < 0 || fd >= most_fds) return false;
    struct stat info;
    bool is = false;
    pthread_mutex_lock(&mutex);
    if (known[fd].path != NULL && look(fd, "", AT_EMPTY_PATH, &info) && info.st_dev == known[fd].device &&
        info.st_ino == known[fd].inode) {
        snprintf(found->path, sizeof found->path, "%s", known[fd].path);
        found->inode = info.st_ino;
        is = true;
    }
    pthread_mutex_unlock(&mutex);
    return is;
}

bool path_below(int directory_fd, const char* path, struct below* found) {
    static const char by_number[] = "/proc/self/fd/";
    const char* root = fault_directory();
    if (root == NULL || path == NULL) return false;
    const size_t length = strlen(root);
    if (strncmp(path, root, length) == 0 && (path[length] == '/' || path[length] == '\0')) {
        path += length;
        while (*path == '/')
            ++path;
        snprintf(found->path, sizeof found->path, "%s", path);
        return true;
    }
    if (strncmp(path, by_number, sizeof by_number - 1) == 0)
        return fd_below(atoi(path + sizeof by_number - 1), found);
    struct below directory;
    if (path[0] == '/' || directory_fd == AT_FDCWD || !fd_below(directory_fd, &directory)) return false;
    const int needed =
        snprintf(found->path, sizeof found->path, "%s%s%s", directory.path, *directory.path ? "/" : "", path);
    return needed >= 0 && (size_t)needed < sizeof found->path;
}

ino_t inode_of(int directory_fd, const char* path) {
    struct stat info;
    return look(directory_fd, path, AT_SYMLINK_NOFOLLOW, &info) ? info.st_ino : 0;
}
