# SPDX-License-Identifier: GPL-2.0-or-later
"""The host's end of the iperf3 workload: a server on loopback, and how many bytes it had read when."""

import socket
import subprocess
import tempfile
import threading
import time

import numpy

from bench.vm import BenchError, die_with_parent

SAMPLE = 0.01
MIB = 1 << 20


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Traffic:
    """A context manager that ends the server."""

    def __init__(self):
        self.port = free_port()
        self.said = tempfile.TemporaryFile()
        self.server = subprocess.Popen(["iperf3", "-s", "-1", "-B", "127.0.0.1", "-p", str(self.port), "-i", "0"],
                                       stdin=subprocess.DEVNULL, stdout=self.said, stderr=self.said,
                                       preexec_fn=die_with_parent)
        self.samples = []
        self.quiet = []  # (seconds, bytes) of undisturbed stretches
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._sample, daemon=True)
        self.thread.start()

    def _sample(self):
        """rchar counts what read() returned, from sockets too."""
        try:
            with open(f"/proc/{self.server.pid}/io", "rb", buffering=0) as file:
                while not self.ended.wait(SAMPLE):
                    file.seek(0)
                    self.samples.append((time.monotonic(), int(file.read().split()[1])))
        except OSError:
            return  # the server has ended

    def _bytes_at(self, moments):
        times, counts = numpy.array(self.samples).T
        return numpy.interp(moments, times, counts)

    def learn(self, start, end):
        first, last = self._bytes_at([start, end])
        self.quiet.append((end - start, last - first))

    def during(self, start, end, settled):
        """Columns of a row: MiB/s second by second from one before the checkpoint until the guest has settled."""
        if self.server.poll() is not None:
            self.said.seek(0)
            raise BenchError(f"iperf3 has ended: {self.said.read()[-300:].decode(errors='replace')}")
        counts = self._bytes_at(numpy.arange(start - 1, settled + 0.01, 1.0))
        times, received = numpy.array([sample for sample in self.samples if start <= sample[0] <= settled]).T
        moved = times[numpy.flatnonzero(numpy.diff(received)) + 1]
        usual = sum(count for _, count in self.quiet) / sum(seconds for seconds, _ in self.quiet)
        first, last = self._bytes_at([start, end])
        return {"throughput_mib_s": [round(rate, 1) for rate in numpy.diff(counts) / MIB],
                "throughput_undisturbed_mib_s": usual / MIB,
                "throughput_ratio": float((last - first) / (end - start) / usual),
                "throughput_gap_ms": float(numpy.diff(moved, prepend=start, append=settled).max() * 1000)}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()
        self.server.kill()
        self.server.wait()
        self.said.close()
