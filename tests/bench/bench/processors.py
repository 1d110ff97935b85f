# SPDX-License-Identifier: GPL-2.0-or-later
"""How much of the machine's processors others used during a measurement: it tells which numbers to distrust."""

import os
import time

TICK = os.sysconf("SC_CLK_TCK")


def _all_busy():
    with open("/proc/stat") as file:
        user, nice, system, _, _, interrupt, soft, stolen = (int(number) for number in file.readline().split()[1:9])
    return (user + nice + system + interrupt + soft + stolen) / TICK


def _of(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0  # ended and not yet waited for: then it counts among the ended ones next time
    return (int(fields[11]) + int(fields[12])) / TICK


def _own():
    """Of this program and its children, those that run and those that have ended."""
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        return sum(os.times()[:4]) + sum(_of(pid) for pid in file.read().split())


class Processors:
    def __init__(self):
        self.at, self.all, self.own = time.monotonic(), _all_busy(), _own()

    def foreign(self):
        """Processors used by others since this was made: 0.5 is half of one. The kernel's own work counts as others',
        and what a hypervisor below has taken away."""
        now = Processors()
        return max((now.all - self.all) - (now.own - self.own), 0.0) / (now.at - self.at)
