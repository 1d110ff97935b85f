/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * LD_PRELOADed: the first fsync or fdatasync of a file whose path has FAILING_FSYNC_OF in it fails with EIO, once the
 * file FAILING_FSYNC_WHEN is there; that is then renamed to its name with ".done".
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int fails(int fd)
{
    const char *when = getenv("FAILING_FSYNC_WHEN");
    const char *of = getenv("FAILING_FSYNC_OF");
    char link[64], path[4096], done[4096];
    ssize_t length;

    if (!when || !of || access(when, F_OK) != 0)
        return 0;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    length = readlink(link, path, sizeof(path) - 1);
    if (length < 0)
        return 0;
    path[length] = '\0';
    if (!strstr(path, of))
        return 0;
    snprintf(done, sizeof(done), "%s.done", when);
    return rename(when, done) == 0;
}

int fsync(int fd)
{
    if (fails(fd)) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    if (fails(fd)) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}
