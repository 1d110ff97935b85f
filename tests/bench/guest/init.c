/* SPDX-License-Identifier: GPL-2.0-or-later
 * The benchmark's guest: the only program of its virtual machine. Runs one workload (kernel command line:
 * bench=NAME, threads=N; port=N for iperf3) for ever and tells the host every millisecond how far it is, through
 * the debug port. A frame is a kind and six bytes of seven bits, lowest first:
 *   0x81  units of work done: a heartbeat
 *   0x82  the same, and the workload has found that its own data is wrong
 *   0x83  units of work done when a new round of the same work began; sent before the heartbeat that follows
 * Only the kind's byte has the highest bit, so a reader can begin in the middle.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#include "network.h"
#include "workloads.h"

enum { debug_port = 0xe9 };
enum { frame_beat = 0x81, frame_wrong = 0x82, frame_round = 0x83 };

static atomic_ullong work_done, round_began_at;
static atomic_uint rounds;
static atomic_int wrong;
static pthread_barrier_t all_threads;
static char name[32] = "idle";
static int threads = 1, port;

void work(unsigned units) { atomic_fetch_add_explicit(&work_done, units, memory_order_relaxed); }

void begin_round(void)
{
    if (pthread_barrier_wait(&all_threads) == PTHREAD_BARRIER_SERIAL_THREAD) {
        atomic_store(&round_began_at, atomic_load(&work_done));
        atomic_fetch_add(&rounds, 1);
    }
    pthread_barrier_wait(&all_threads);
}

void verify(int good, const char *what)
{
    if (good || atomic_exchange(&wrong, 1))
        return;
    printf("bench: wrong: %s\n", what);
}

void *need(size_t bytes)
{
    void *p = malloc(bytes);

    if (!p) {
        printf("bench: no memory for %zu bytes\n", bytes);
        for (;;)
            pause();
    }
    /* Not calloc, which leaves it untouched. */
    memset(p, 1, bytes);
    memset(p, 0, bytes);
    return p;
}

static void send_frame(int kind, unsigned long long number)
{
    outb(kind, debug_port);
    for (int i = 0; i < 6; i++)
        outb(number >> (7 * i) & 0x7f, debug_port);
}

static void *heartbeat(void *unused)
{
    struct timespec next, now;
    unsigned seen = 0;

    (void)unused;
    iopl(3);
    clock_gettime(CLOCK_MONOTONIC, &next);
    for (;;) {
        unsigned current = atomic_load(&rounds);
        if (current != seen)
            send_frame(frame_round, atomic_load(&round_began_at));
        seen = current;
        send_frame(atomic_load(&wrong) ? frame_wrong : frame_beat, atomic_load(&work_done));
        next.tv_nsec += 1000000;
        if (next.tv_nsec >= 1000000000) {
            next.tv_nsec -= 1000000000;
            next.tv_sec++;
        }
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
        /* After a long stop: no burst of beats to catch up. */
        clock_gettime(CLOCK_MONOTONIC, &now);
        if ((now.tv_sec - next.tv_sec) * 1000000000ll + now.tv_nsec - next.tv_nsec > 5000000)
            next = now;
    }
    return NULL;
}

static void *run(void *index)
{
    run_kernel(name, (int)(long)index, threads);
    run_page_writer(name, (int)(long)index, threads);
    if (!strcmp(name, "iperf3"))
        run_iperf3(port);
    else
        printf("bench: there is no workload %s\n", name);
    return NULL;
}

/* A process that wakes now and then on one processor, as some always do. A processor that QEMU emulates adapts the
 * size of its TLB only when it is flushed, as by a change of processes; without any, the first method that flushes it
 * would leave a faster guest behind. */
static void wake_now_and_then(int processor)
{
    cpu_set_t only;

    if (fork() != 0)
        return;
    CPU_ZERO(&only);
    CPU_SET(processor, &only);
    sched_setaffinity(0, sizeof only, &only);
    for (;;)
        usleep(50000);
}

static void read_command_line(void)
{
    char line[4096] = "";
    FILE *file;

    if (mount("proc", "/proc", "proc", 0, NULL) != 0 || mount("sysfs", "/sys", "sysfs", 0, NULL) != 0 ||
        mount("devtmpfs", "/dev", "devtmpfs", 0, NULL) != 0)
        perror("bench: mount");
    file = fopen("/proc/cmdline", "re");
    if (!file || !fgets(line, sizeof line, file))
        perror("bench: /proc/cmdline");
    if (file)
        fclose(file);
    for (char *word = strtok(line, " \n"); word; word = strtok(NULL, " \n")) {
        sscanf(word, "bench=%31s", name);
        sscanf(word, "threads=%d", &threads);
        sscanf(word, "port=%d", &port);
    }
}

int main(void)
{
    pthread_t thread;
    pthread_attr_t attributes;
    struct sched_param priority = {.sched_priority = 50};

    setvbuf(stdout, NULL, _IOLBF, 0);
    read_command_line();
    int processors = threads;
    if (!strcmp(name, "idle") || !strcmp(name, "touched") || !strcmp(name, "iperf3"))
        threads = 1;
    for (int i = 0; i < processors; i++)
        wake_now_and_then(i);
    pthread_barrier_init(&all_threads, NULL, threads);
    pthread_attr_init(&attributes);
    pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED);
    pthread_attr_setschedpolicy(&attributes, SCHED_FIFO);
    pthread_attr_setschedparam(&attributes, &priority);
    if (pthread_create(&thread, &attributes, heartbeat, NULL) != 0)
        printf("bench: no heartbeat\n");
    printf("bench: %s, threads: %d\n", name, threads);
    for (long i = 1; i < threads; i++)
        pthread_create(&thread, NULL, run, (void *)i);
    run(NULL);
    for (;;)
        pause();
}
