// SPDX-License-Identifier: GPL-2.0-or-later
#include "fault_plan.h"

#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum mode { mode_none, mode_error, mode_errors, mode_short, mode_kill_before, mode_kill_after };

static struct {
    const char* directory;
    const char* swallow;
    enum mode mode;
    long at;
    int error;
    long count;
    bool done; // what happens only once has happened
    int journal;
    int data;
    pthread_mutex_t mutex;
} plan = {.journal = -1, .data = -1, .mutex = PTHREAD_MUTEX_INITIALIZER};

static void give_up(const char* why) {
    static const char name[] = "faulty_files: ";
    syscall(SYS_write, 2, name, sizeof name - 1);
    syscall(SYS_write, 2, why, strlen(why));
    syscall(SYS_write, 2, "\n", 1);
    syscall(SYS_exit_group, 99);
}

static int open_high(const char* path) {
    const long low = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (low < 0) give_up("cannot open the journal");
    const long high = syscall(SYS_fcntl, low, F_DUPFD_CLOEXEC, 900);
    if (high < 0) give_up("cannot keep the journal open");
    syscall(SYS_close, low);
    return (int)high;
}

static void put(int fd, const void* data, size_t length) {
    for (size_t done = 0; done < length;) {
        const long n = syscall(SYS_write, fd, (const char*)data + done, length - done);
        if (n <= 0) give_up("cannot write the journal");
        done += (size_t)n;
    }
}

static enum mode mode_of(const char* name) {
    if (strcmp(name, "error") == 0) return mode_error;
    if (strcmp(name, "errors") == 0) return mode_errors;
    if (strcmp(name, "short") == 0) return mode_short;
    if (strcmp(name, "kill-before") == 0) return mode_kill_before;
    if (strcmp(name, "kill-after") == 0) return mode_kill_after;
    give_up("unknown FAULT_MODE");
    return mode_none;
}

__attribute__((constructor)) static void read_environment(void) {
    const char* at = getenv("FAULT_AT");
    const char* mode = getenv("FAULT_MODE");
    const char* error = getenv("FAULT_ERRNO");
    const char* journal = getenv("FAULT_JOURNAL");
    plan.swallow = getenv("FAULT_SWALLOW");
    plan.at = at != NULL ? atol(at) : 0;
    if (plan.at > 0 && mode != NULL) plan.mode = mode_of(mode);
    plan.error = error != NULL && strcmp(error, "ENOSPC") == 0 ? ENOSPC : EIO;
    if (journal != NULL) {
        char name[4096];
        plan.journal = open_high(journal);
        snprintf(name, sizeof name, "%s.data", journal);
        plan.data = open_high(name);
    }
    plan.directory = getenv("FAULT_DIR");
}

const char* fault_directory(void) { return plan.directory; }

static void say(const char* format, ...) {
    char line[12288];
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof line) give_up("a line of the journal is too long");
    if (plan.journal >= 0) put(plan.journal, line, (size_t)length);
}

static bool hits(long number, int flags) {
    switch (plan.mode) {
    case mode_none:
        return false;
    case mode_kill_before:
    case mode_kill_after:
        return number == plan.at;
    case mode_short:
        // A byte cannot be written by half; the next write will do.
        if (plan.done || number < plan.at || (flags & call_writes) == 0) return false;
        return plan.done = true;
    case mode_error:
        return number == plan.at;
    case mode_errors:
        return number >= plan.at && (plan.error != ENOSPC || (flags & call_needs_space) != 0);
    }
    return false;
}

struct call fault_begin(const char* name, const char* path, int flags) {
    pthread_mutex_lock(&plan.mutex);
    struct call call = {++plan.count, 0, false};
    if (!hits(call.number, flags)) return call;
    say("note\tfault\t%ld\t%s\t%s\n", call.number, name, path);
    if (plan.mode == mode_kill_before) syscall(SYS_exit_group, 137);
    if (plan.mode == mode_short) call.shortened = true;
    if (plan.mode == mode_error || plan.mode == mode_errors) call.error = plan.error;
    return call;
}

void fault_end(struct call call, const char* format, ...) {
    const int error = errno;
    char line[8192];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    say("%ld\t%s\n", call.number, line);
    if (plan.mode == mode_kill_after && call.number == plan.at) syscall(SYS_exit_group, 137);
    pthread_mutex_unlock(&plan.mutex);
    errno = error;
}

long long fault_keep(const struct iovec* parts, int count, size_t length) {
    if (plan.data < 0) return 0;
    const long long start = syscall(SYS_lseek, plan.data, 0, SEEK_END);
    for (int i = 0; i < count && length > 0; ++i) {
        const size_t part = parts[i].iov_len < length ? parts[i].iov_len : length;
        put(plan.data, parts[i].iov_base, part);
        length -= part;
    }
    return start;
}

bool fault_swallows(const char* path) { return plan.swallow != NULL && fnmatch(plan.swallow, path, 0) == 0; }
