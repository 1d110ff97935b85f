/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef BENCH_WORKLOADS_H
#define BENCH_WORKLOADS_H

#include <stddef.h>
#include <stdint.h>

void work(unsigned units);               /* so much more is done */
void begin_round(void);                  /* all threads begin another round of the same work; they wait for each other */
void verify(int good, const char *what); /* tells the host if it is not */

/* Zeroed memory, every page of it touched; does not return if there is not enough. */
void *need(size_t bytes);

static inline uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* One thread's part of a workload. Each thread has data of its own, together about as much for any number of
 * threads. They return only if there is no such workload. */
void run_kernel(const char *name, int index, int threads);     /* ep, mg, is, ft */
void run_page_writer(const char *name, int index, int threads); /* the rest */

#endif
