/* SPDX-License-Identifier: GPL-2.0-or-later
 * recorder SOCKET FILE SCHEDSTAT...: writes down when each frame of the guest's debug port (see guest/init.c)
 * arrived: four 64-bit numbers a frame, CLOCK_MONOTONIC in ns, the frame's number, the frame's kind, and how long
 * virtual processors have waited for a real one until then, in ns, the mean of them; SCHEDSTAT are their files
 * /proc/PID/task/TID/schedstat. Ends with the connection. FILE should be in memory: a recorder that waits for a
 * disk sees gaps that are its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { digits = 6, bits = 7, most_processors = 64 };

/* A frame as far as it has come; one that is cut off by the next one's kind is dropped. */
struct frame {
    uint64_t number, kind;
    int have; /* digits, or less than 0 before the first kind */
};

/* True if this byte ends a frame. */
static int take(struct frame *frame, unsigned char byte)
{
    if (byte & 0x80) {
        *frame = (struct frame){.kind = byte};
        return 0;
    }
    if (frame->have < 0)
        return 0;
    frame->number |= (uint64_t)byte << (bits * frame->have);
    if (++frame->have < digits)
        return 0;
    frame->have = -1;
    return 1;
}

/* The second number of the file. */
static uint64_t waited(int schedstat)
{
    char text[128], *end;
    ssize_t n = pread(schedstat, text, sizeof text - 1, 0);

    if (n <= 0)
        return 0;
    text[n] = 0;
    strtoull(text, &end, 10);
    return strtoull(end, NULL, 10);
}

int main(int argc, char **argv)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    struct sched_param priority = {.sched_priority = 60};
    struct frame frame = {.have = -1};
    unsigned char in[4096];
    int processors[most_processors], count = argc - 3;

    if (count < 1 || count > most_processors || strlen(argv[1]) >= sizeof name.sun_path) {
        fprintf(stderr, "usage: recorder SOCKET FILE SCHEDSTAT...\n");
        return 2;
    }
    strcpy(name.sun_path, argv[1]);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    int out = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0 || out < 0 || connect(fd, (struct sockaddr *)&name, sizeof name) != 0) {
        perror("recorder");
        return 1;
    }
    for (int i = 0; i < count; i++)
        processors[i] = open(argv[3 + i], O_RDONLY | O_CLOEXEC);
    /* Not to be late itself. */
    if (sched_setscheduler(0, SCHED_FIFO, &priority) != 0)
        perror("recorder: no real-time priority, gaps are less exact");
    for (;;) {
        ssize_t n = read(fd, in, sizeof in);
        struct timespec now;
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return 0;
        clock_gettime(CLOCK_MONOTONIC, &now);
        for (ssize_t i = 0; i < n; i++)
            if (take(&frame, in[i])) {
                uint64_t record[4] = {now.tv_sec * 1000000000ull + now.tv_nsec, frame.number, frame.kind};
                for (int k = 0; k < count; k++)
                    record[3] += waited(processors[k]) / count;
                if (write(out, record, sizeof record) != sizeof record) {
                    perror("recorder");
                    return 1;
                }
            }
    }
}
