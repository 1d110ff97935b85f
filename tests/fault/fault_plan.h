// SPDX-License-Identifier: GPL-2.0-or-later
// The plan of faulty_files.so, from the environment: which calls count, which one fails and how, and the
// journal of what was done. One call at a time: fault_begin() takes a lock that fault_end() gives back.
//   FAULT_DIR      only calls on what lies below this directory count (an absolute path without links)
//   FAULT_JOURNAL  a file outside of it; what was written goes to <file>.data
//   FAULT_AT       the number of a call, from 1; 0 or nothing: no fault
//   FAULT_MODE     kill-before, kill-after: the process ends there (exit code 137)
//                  error, errors: that one, or from there on every one, fails with FAULT_ERRNO
//                  (ENOSPC: only calls that need space); short: half is written
//   FAULT_SWALLOW  a pattern (fnmatch) of paths below FAULT_DIR whose fsync says yes and does nothing
#pragma once

#include <sys/uio.h>

#include <stdbool.h>
#include <stddef.h>

struct call {
    long number;
    int error;      // 0, or what the call has to fail with
    bool shortened; // a write: half of it
};

enum { call_plain = 0, call_needs_space = 1, call_writes = 2 };

// FAULT_DIR, or NULL: then nothing below is to be called.
const char* fault_directory(void);
// path: below FAULT_DIR. May not return.
struct call fault_begin(const char* name, const char* path, int flags);
// The line of the journal: an operation and its arguments between tabs (tests/fault/README.md). May not
// return. errno stays as it is.
void fault_end(struct call call, const char* format, ...) __attribute__((format(printf, 2, 3)));
// Keeps the first `length` bytes, before fault_end(). Returns where they are in the journal's data.
long long fault_keep(const struct iovec* parts, int count, size_t length);
bool fault_swallows(const char* path);
