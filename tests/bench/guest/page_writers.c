/* SPDX-License-Identifier: GPL-2.0-or-later
 * Workloads that only write pages, in different patterns, and one that does nothing. A page holds what follows
 * from its number and the pass it was written in; before it is written again that is checked.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "workloads.h"

enum { page_words = 512, written_words = 64, spacing = page_words / written_words };
static const size_t array_pages = ((size_t)512 << 20) / 4096;

static uint64_t value(uint64_t page, uint64_t pass)
{
    return (page + 1) * 0x9e3779b97f4a7c15u ^ pass * 0xbf58476d1ce4e5b9u;
}

static void write_page(uint64_t *at, uint64_t page, uint64_t pass)
{
    uint64_t old = value(page, pass - 1), new = value(page, pass);
    uint64_t probe = pass % written_words;
    int last = (written_words - 1) * spacing;

    if (pass > 1)
        verify(at[0] == old && at[last] == old + last && at[probe * spacing] == old + probe * spacing, "a written page");
    for (int i = 0; i < written_words; i++)
        at[i * spacing] = new + i * spacing;
}

/* All pages of an array in an order that is random and another one in each pass. */
static void random_writer(int index, int threads)
{
    size_t pages = 1;
    uint64_t state = 88172645463325252u + index;

    while (pages * 2 * threads <= array_pages)
        pages *= 2;
    uint64_t *array = need(pages * 4096);
    for (uint64_t pass = 1;; pass++) {
        /* A linear congruence runs through all of a power of two if the factor is 1 modulo 4 and the step odd. */
        uint64_t factor = next_random(&state) << 2 | 1, step = next_random(&state) | 1, page = next_random(&state);
        if (pass % 16 == 1)
            begin_round();
        for (size_t n = 0; n < pages; n++) {
            page = (page * factor + step) & (pages - 1);
            write_page(array + page * page_words, page, pass);
            if (n % 64 == 0)
                work(1);
        }
    }
}

/* An array of data that does not compress, of which one page in twenty is written: neighbours, or any. */
static void partial(int index, int threads, int dense)
{
    size_t pages = array_pages / threads, chosen = pages / 20, checked = 0;
    uint64_t *array = need(pages * 4096), state = 362436069362436069u + index, seed;
    uint32_t *order = need(4 * pages);

    for (size_t page = 0; page < pages; page++) {
        seed = value(page, index);
        for (int i = 0; i < page_words; i++)
            array[page * page_words + i] = next_random(&seed);
        order[page] = page;
    }
    for (size_t i = 0; i < pages && !dense; i++) {
        size_t other = i + next_random(&state) % (pages - i);
        uint32_t page = order[i];
        order[i] = order[other];
        order[other] = page;
    }
    for (uint64_t pass = 1;; pass++) {
        if (pass % 256 == 1) {
            begin_round();
            /* Some of the pages that are not written. */
            for (size_t i = 0; i < pages / 64; i++, checked++) {
                uint32_t page = order[chosen + checked % (pages - chosen)];
                int good = 1;
                seed = value(page, index);
                for (int k = 0; k < page_words; k++)
                    good &= array[page * (size_t)page_words + k] == next_random(&seed);
                verify(good, "a page not written");
                if (i % 16 == 0)
                    work(2);
            }
        }
        for (size_t i = 0; i < chosen; i++) {
            write_page(array + (size_t)order[i] * page_words, order[i], pass);
            if (i % 64 == 0)
                work(1);
        }
    }
}

/* Most of the memory touched, little of it written. */
static void touched(void)
{
    enum { written = 256 };
    struct sysinfo info;

    sysinfo(&info);
    size_t pages = (size_t)(info.freeram / 4096 * info.mem_unit * 0.9);
    uint64_t *array = need(pages * 4096);
    for (size_t page = 0; page < pages; page++)
        write_page(array + page * page_words, page, 1);
    for (uint64_t pass = 2;; pass++) {
        if (pass % 256 == 2)
            begin_round();
        for (size_t page = 0; page < written; page++)
            write_page(array + page * page_words, page, pass);
        work(1);
        usleep(1000);
    }
}

static void idle(void)
{
    for (unsigned n = 0;; n++) {
        if (n % 512 == 0)
            begin_round();
        usleep(1000);
        work(1);
    }
}

void run_page_writer(const char *name, int index, int threads)
{
    if (!strcmp(name, "random-writer"))
        random_writer(index, threads);
    else if (!strcmp(name, "partial-dense"))
        partial(index, threads, 1);
    else if (!strcmp(name, "partial-sparse"))
        partial(index, threads, 0);
    /* These two have one thread, whatever the number of processors. */
    else if (!strcmp(name, "touched"))
        touched();
    else if (!strcmp(name, "idle"))
        idle();
}
