/* SPDX-License-Identifier: GPL-2.0-or-later
 * The guest's network: modules from /modules, named in the order of /modules.list, and one interface.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "network.h"
#include "workloads.h"

static void load_modules(void)
{
    char path[256];
    FILE *list = fopen("/modules.list", "re");

    while (list && fgets(path, sizeof path, list)) {
        path[strcspn(path, "\n")] = 0;
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (syscall(SYS_finit_module, fd, "", 0) != 0)
            perror(path);
        close(fd);
    }
    if (list)
        fclose(list);
}

static void interface_up(const char *device, const char *address, const char *mask)
{
    struct ifreq request = {0};
    struct sockaddr_in *in = (struct sockaddr_in *)&request.ifr_addr;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    strncpy(request.ifr_name, device, IFNAMSIZ - 1);
    in->sin_family = AF_INET;
    inet_pton(AF_INET, address, &in->sin_addr);
    int failed = ioctl(fd, SIOCSIFADDR, &request);
    inet_pton(AF_INET, mask, &in->sin_addr);
    failed |= ioctl(fd, SIOCSIFNETMASK, &request);
    failed |= ioctl(fd, SIOCGIFFLAGS, &request);
    request.ifr_flags |= IFF_UP | IFF_RUNNING;
    failed |= ioctl(fd, SIOCSIFFLAGS, &request);
    if (failed)
        perror(device);
    close(fd);
}

static unsigned long long bytes_sent(void)
{
    unsigned long long bytes = 0;
    FILE *file = fopen("/sys/class/net/eth0/statistics/tx_bytes", "re");

    if (file && fscanf(file, "%llu", &bytes) != 1)
        bytes = 0;
    if (file)
        fclose(file);
    return bytes;
}

void run_iperf3(int port)
{
    enum { unit = 4096, units_a_round = 8192 };
    char port_text[16];

    load_modules();
    interface_up("lo", "127.0.0.1", "255.0.0.0");
    interface_up("eth0", "10.0.2.15", "255.255.255.0");
    snprintf(port_text, sizeof port_text, "%d", port);
    unsigned long long told = bytes_sent() / unit, round_end = told;
    pid_t child = fork();
    if (child == 0) {
        execl("/usr/bin/iperf3", "iperf3", "-c", "10.0.2.2", "-p", port_text, "-t", "0", "-i", "0", (char *)NULL);
        perror("iperf3");
        _exit(127);
    }
    while (waitpid(child, NULL, WNOHANG) == 0) {
        unsigned long long units = bytes_sent() / unit;
        if (units >= round_end) {
            begin_round();
            round_end += units_a_round;
        }
        work((unsigned)(units - told));
        told = units;
        usleep(1000);
    }
    printf("bench: iperf3 has ended\n");
}
