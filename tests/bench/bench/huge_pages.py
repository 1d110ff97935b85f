# SPDX-License-Identifier: GPL-2.0-or-later
"""A VM's transparent huge pages. Some methods split them, and the guest is slower from then on: that is told in a
row of that method, and must not be charged to whichever comes next."""

import ctypes
import os

import numpy

PROCESS_MADVISE, MADV_COLLAPSE = 440, 25
PAGE, HUGE = 4096, 2 << 20
PRESENT = 1 << 63


class _Area(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


def huge_mib(pid):
    """How much of a process's memory is in huge pages."""
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("AnonHugePages:")) / 1024


def _full_areas(pid):
    """Aligned areas of the size of a huge page, in the largest mappings, of which every page is there."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/pagemap", "rb", buffering=0) as pagemap:
        for line in maps:
            fields = line.split()
            start, end = (int(address, 16) for address in fields[0].split("-"))
            start, end = -(-start // HUGE) * HUGE, end // HUGE * HUGE
            if fields[1] != "rw-p" or end - start < 32 * HUGE:
                continue
            pagemap.seek(start // PAGE * 8)
            entries = numpy.frombuffer(pagemap.read((end - start) // PAGE * 8), "<u8")
            there = (entries & PRESENT != 0).reshape(-1, HUGE // PAGE).all(axis=1)
            yield from (start + int(number) * HUGE for number in numpy.flatnonzero(there))


class HugePages:
    """Remembers which memory was there before anything was measured."""

    def __init__(self, pid):
        self.pid = pid
        self.areas = [_Area(start, HUGE) for start in _full_areas(pid)]

    def collapse(self):
        """Makes huge pages again of what was split. Where the kernel cannot (before 6.1) huge_mib tells."""
        libc = ctypes.CDLL(None, use_errno=True)
        descriptor = os.pidfd_open(self.pid)
        for area in self.areas:
            libc.syscall(PROCESS_MADVISE, descriptor, ctypes.byref(area), ctypes.c_ulong(1), MADV_COLLAPSE, 0)
        os.close(descriptor)
