#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""compare_cores.py A B: whether two 64-bit core files hold the same notes and, at the same addresses, the same memory."""
import mmap
import struct
import sys

NOTE, LOAD = 4, 1


def segments(core, kind):
    """(address, bytes) of each segment of a kind, in the file's order."""
    at, count = struct.unpack_from("<Q", core, 32)[0], struct.unpack_from("<H", core, 56)[0]
    for number in range(count):
        found, _, offset, address, _, size, _, _ = struct.unpack_from("<IIQQQQQQ", core, at + 56 * number)
        if found == kind:
            yield address, memoryview(core)[offset:offset + size]


def main():
    cores = []
    for name in sys.argv[1:3]:
        with open(name, "rb") as file:
            cores.append(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ))
    for kind, what in ((NOTE, "notes"), (LOAD, "memory")):
        ours, theirs = (list(segments(core, kind)) for core in cores)
        places = [[(hex(address), len(data)) for address, data in side] for side in (ours, theirs)]
        print(f"{what}: {places[0]}")
        if places[0] != places[1]:
            sys.exit(f"{what}: the other has {places[1]}")
        for (address, data), (_, other) in zip(ours, theirs):
            for at in range(0, len(data), 4096):
                if data[at:at + 4096] != other[at:at + 4096]:
                    sys.exit(f"{what}: different from {hex(address + at)} on")


main()
