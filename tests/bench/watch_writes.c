/* SPDX-License-Identifier: GPL-2.0-or-later
 * watch_writes [MIB [ROUNDS]]: what it costs a program to know which of its memory it has written since the last
 * time somebody asked. A thread writes pages at random; once a second the record is taken. Ways:
 *   none      nobody asks
 *   stretch   userfaultfd write-protection; the first write to a stretch of 2 MiB faults to another thread,
 *             which lifts the whole stretch (what tlc-engine serve does)
 *   async     userfaultfd write-protection that the kernel lifts page by page (Linux 6.7), PAGEMAP_SCAN
 *   hash      nothing is recorded; every page is hashed when asked
 * in huge and in small pages. Prints JSON: a row a round, with the writer's speed relative to "none" of the same
 * round and the time it takes to ask.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC (1 << 15)
#endif
#ifndef PAGEMAP_SCAN
struct page_region { uint64_t start, end, categories; };
struct pm_scan_arg {
    uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
    uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
#define PAGEMAP_SCAN _IOWR('f', 16, struct pm_scan_arg)
#define PAGE_IS_WRITTEN (1 << 1)
#define PM_SCAN_WP_MATCHING (1 << 0)
#define PM_SCAN_CHECK_WPASYNC (1 << 1)
#endif

enum { page = 4096, stretch = 2 << 20, seconds = 4 };
enum way { none, in_stretches, async, hash };
static const char *const names[] = {"none", "stretch", "async", "hash"};

static char *memory;
static size_t length;
static int uffd = -1;
static atomic_ullong writes;
static atomic_int ending;
static atomic_uchar *dirty; /* one a stretch */
static XXH128_hash_t *hashes;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void *write_pages(void *unused)
{
    uint64_t state = 88172645463325252u;

    (void)unused;
    for (uint64_t n = 0; !ending; n++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        uint64_t *at = (uint64_t *)(memory + state % (length / page) * page);
        for (int i = 0; i < 64; i++)
            at[i * 8] = n + i;
        atomic_fetch_add_explicit(&writes, 1, memory_order_relaxed);
    }
    return NULL;
}

static void protect(char *from, size_t bytes, int on)
{
    struct uffdio_writeprotect wp = {{(uintptr_t)from, bytes}, on ? UFFDIO_WRITEPROTECT_MODE_WP : 0};
    if (ioctl(uffd, UFFDIO_WRITEPROTECT, &wp) < 0)
        fail("UFFDIO_WRITEPROTECT");
}

static void *serve(void *unused)
{
    (void)unused;
    while (!ending) {
        struct pollfd entry = {uffd, POLLIN, 0};
        struct uffd_msg message;
        if (poll(&entry, 1, 50) <= 0 || read(uffd, &message, sizeof message) != sizeof message)
            continue;
        size_t i = (message.arg.pagefault.address - (uintptr_t)memory) / stretch;
        dirty[i] = 1;
        protect(memory + i * stretch, stretch, 0);
    }
    return NULL;
}

static int watch(enum way way)
{
    struct uffdio_api api = {UFFD_API, UFFD_FEATURE_PAGEFAULT_FLAG_WP, 0};
    struct uffdio_register area = {{(uintptr_t)memory, length}, UFFDIO_REGISTER_MODE_WP, 0};

    if (way == async)
        api.features |= UFFD_FEATURE_WP_ASYNC;
    uffd = (int)syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);
    if (uffd < 0)
        fail("userfaultfd");
    if (ioctl(uffd, UFFDIO_API, &api) < 0)
        return 0;
    if (ioctl(uffd, UFFDIO_REGISTER, &area) < 0)
        fail("UFFDIO_REGISTER");
    protect(memory, length, 1);
    return 1;
}

/* Takes the record and begins a new one; returns how many bytes it names. */
static uint64_t ask(enum way way, int pagemap)
{
    uint64_t bytes = 0;

    if (way == in_stretches) {
        for (size_t i = 0; i < length / stretch; i++)
            if (atomic_exchange(&dirty[i], 0)) {
                protect(memory + i * stretch, stretch, 1);
                bytes += stretch;
            }
    } else if (way == async) {
        static struct page_region found[1 << 16];
        struct pm_scan_arg scan = {.size = sizeof scan, .flags = PM_SCAN_WP_MATCHING | PM_SCAN_CHECK_WPASYNC,
                                   .start = (uintptr_t)memory, .end = (uintptr_t)memory + length,
                                   .vec = (uintptr_t)found, .vec_len = 1 << 16,
                                   .category_mask = PAGE_IS_WRITTEN, .return_mask = PAGE_IS_WRITTEN};
        while (scan.start < scan.end) {
            int n = ioctl(pagemap, PAGEMAP_SCAN, &scan);
            if (n < 0)
                fail("PAGEMAP_SCAN");
            for (int i = 0; i < n; i++)
                bytes += found[i].end - found[i].start;
            scan.start = scan.walk_end;
        }
    } else if (way == hash) {
        for (size_t i = 0; i < length / page; i++) {
            XXH128_hash_t h = XXH3_128bits(memory + i * page, page);
            if (!XXH128_isEqual(h, hashes[i]))
                bytes += page;
            hashes[i] = h;
        }
    }
    return bytes;
}

static double measure(enum way way, double *asking, uint64_t *named)
{
    int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    pthread_t writer, server;

    ending = 0;
    memset(dirty, 0, length / stretch);
    if ((way == in_stretches || way == async) && !watch(way))
        return -1;
    if (way == in_stretches)
        pthread_create(&server, NULL, serve, NULL);
    pthread_create(&writer, NULL, write_pages, NULL);
    double began = now(), spent = 0;
    uint64_t before = writes, names_bytes = 0;
    for (int i = 0; i < seconds; i++) {
        usleep(1000000);
        double t = now();
        names_bytes = ask(way, pagemap);
        spent += now() - t;
    }
    /* Only the time in which nobody asked: asking is part of a checkpoint. */
    double rate = (double)(writes - before) / (now() - began - (way == hash ? 0 : spent));
    ending = 1;
    pthread_join(writer, NULL);
    if (way == in_stretches)
        pthread_join(server, NULL);
    if (uffd >= 0)
        close(uffd);
    uffd = -1;
    close(pagemap);
    *asking = spent / seconds;
    *named = names_bytes;
    return rate;
}

int main(int argc, char **argv)
{
    size_t mib = argc > 1 ? strtoul(argv[1], NULL, 10) : 512;
    int rounds = argc > 2 ? atoi(argv[2]) : 5, first = 1;

    length = mib << 20;
    dirty = calloc(length / stretch, 1);
    hashes = calloc(length / page, sizeof *hashes);
    printf("[");
    for (int huge = 1; huge >= 0; huge--) {
        char *all = mmap(NULL, length + stretch, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (all == MAP_FAILED)
            fail("mmap");
        memory = (char *)(((uintptr_t)all + stretch - 1) / stretch * stretch);
        madvise(memory, length, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
        for (int round = 0; round < rounds; round++) {
            double base = 0;
            for (enum way way = none; way <= hash; way++) {
                double asking;
                uint64_t named;
                /* Whatever the way before has split is whole again. */
                madvise(memory, length, MADV_DONTNEED);
                memset(memory, 1, length);
                double rate = measure(way, &asking, &named);
                if (way == none)
                    base = rate;
                if (rate < 0)
                    continue;
                printf("%s\n {\"way\": \"%s\", \"pages\": \"%s\", \"round\": %d, \"mib\": %zu, \"speed\": %.4f, "
                       "\"asking_ms\": %.2f, \"named_mib\": %.1f}",
                       first ? "" : ",", names[way], huge ? "huge" : "small", round, mib, rate / base,
                       asking * 1e3, (double)named / (1 << 20));
                first = 0;
                fflush(stdout);
            }
        }
        munmap(all, length + stretch);
    }
    printf("\n]\n");
}
