/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef BENCH_NETWORK_H
#define BENCH_NETWORK_H

/* Sends to iperf3 on the host's loopback, through QEMU's user network, as fast as it goes; 4 KiB are a unit of
 * work. Returns if that cannot be begun or ends. */
void run_iperf3(int port);

#endif
