// SPDX-License-Identifier: GPL-2.0-or-later
// Which descriptors and paths are below FAULT_DIR. Paths come out relative to it; the directory itself is "".
// Thread-safe. Relative paths (but to a descriptor) count as outside.
#pragma once

#include <sys/types.h>

#include <limits.h>
#include <stdbool.h>

struct below {
    char path[PATH_MAX];
    ino_t inode; // of a descriptor
};

bool path_below(int directory_fd, const char* path, struct below* found);
bool fd_below(int fd, struct below* found);
// fd was opened as that path; path NULL: as something else.
void remember_fd(int fd, const char* path);
// 0 where there is none.
ino_t inode_of(int directory_fd, const char* path);
