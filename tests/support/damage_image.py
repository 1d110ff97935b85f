#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""damage_image.py CHECKPOINT OUT: makes OUT/<n>, copies of a directory with memory.h5 and its older files, each
with one thing changed, and prints "<n> <what was changed>" for each.

Changed are: a bit in each dataset of memory.h5, in a chunk's header and data of each file, every attribute, and
bits at even distances in the whole of memory.h5.
"""

import os
import pathlib
import shutil
import sys

os.environ["HDF5_USE_FILE_LOCKING"] = "FALSE"

import h5py  # noqa: E402
import numpy  # noqa: E402

SPREAD = 24


def flip(path, offset):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1 << offset % 8]))


def change_attribute(path, owner, name):
    with h5py.File(path, "r+") as image:
        attribute = h5py.h5a.open(image[owner].id, name.encode())
        kind = attribute.get_type()
        if isinstance(kind, h5py.h5t.TypeStringID):
            value = numpy.zeros((), f"S{kind.get_size()}")
            attribute.read(value, mtype=kind)
            text = bytes(value[()])
            value[()] = text[:-1] + bytes([text[-1] ^ 1]) if text else b"x"
            attribute.write(value, mtype=kind)
        else:
            value = numpy.zeros((), "<u8")
            attribute.read(value)
            value[()] = int(value) + 1
            attribute.write(value)


def damages(directory):
    """(file, what, function of the copy's path) for each."""
    with h5py.File(directory / "memory.h5", "r") as image:
        owners = ["/"]
        image.visit(owners.append)
        for owner in owners:
            for name in image[owner].attrs:
                yield ("memory.h5", f"{owner}@{name}",
                       lambda path, owner=owner, name=name: change_attribute(path, owner, name))
            if isinstance(image[owner], h5py.Dataset) and owner != "pages" and image[owner].size:
                place = image[owner].id.get_offset() + image[owner].id.get_storage_size() // 2
                yield "memory.h5", owner, lambda path, place=place: flip(path, place)
    for file in sorted(directory.glob("*.h5")):
        with h5py.File(file, "r") as image:
            for n in range(len(image["chunks"])):
                chunk = image["pages"].id.get_chunk_info_by_coord((16 * n, 0))
                for what, at in (("header", 13), ("data", chunk.size - 9)):
                    place = chunk.byte_offset + at
                    yield file.name, f"chunk {n}, {what}", lambda path, place=place: flip(path, place)
    size = (directory / "memory.h5").stat().st_size
    for n in range(SPREAD):
        place = n * size // SPREAD + n
        yield "memory.h5", f"byte {place}", lambda path, place=place: flip(path, place)


def main():
    directory, out = (pathlib.Path(argument) for argument in sys.argv[1:3])
    for n, (file, what, change) in enumerate(damages(directory), 1):
        copy = out / str(n)
        copy.mkdir(parents=True)
        for source in directory.glob("*.h5"):
            (shutil.copy if source.name == file else os.link)(source, copy / source.name)
        change(copy / file)
        print(n, file, what)


main()
