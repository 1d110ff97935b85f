#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""read_image.py FILE BLOCK PAGE: prints one page of a memory image. Written from docs/image-format.md alone.

BLOCK is a block's number or its id ("pc.ram"). Older files are looked for beside FILE.
"""

import os
import sys

import h5py


def find_block(blocks, name):
    if name in blocks:
        return blocks[name]
    for group in blocks.values():
        if group.attrs["id"] == name.encode():
            return group
    raise ValueError(f"there is no block {name}")


def read_page(path, block, page):
    with h5py.File(path, "r") as image:
        if image.attrs["magic"] != b"TLC-MEMORY-IMAGE":
            raise ValueError("not a memory image")
        if image.attrs["format_version"] not in (1, 2):
            raise ValueError(f"format version {image.attrs['format_version']} is not 1 or 2")
        group = find_block(image["ram"], block)
        page_size = int(image.attrs["page_size"])
        pages = int(group.attrs["length"]) // page_size
        if not 0 <= page < pages:
            raise ValueError(f"block {block} has {pages} pages")
        entry = int(group["page_table"][page])
        if entry == 0:
            return bytes(page_size)
        slot = (entry & ((1 << 48) - 1)) - 1
        if not entry >> 48:
            return image["pages"][slot].tobytes()
        identity = image["older"][str(entry >> 48)].attrs["identity"].decode()
    with h5py.File(os.path.join(os.path.dirname(path), f"older-{identity}.h5"), "r") as older:
        if older.attrs["identity"].decode() != identity:
            raise ValueError(f"older-{identity}.h5 is another file")
        return older["pages"][slot].tobytes()


def main():
    if len(sys.argv) != 4:
        sys.exit(f"usage: {sys.argv[0]} FILE BLOCK PAGE")
    try:
        data = read_page(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    except (OSError, KeyError, ValueError) as error:
        sys.exit(f"{sys.argv[1]}: {error}")
    sys.stdout.buffer.write(data)


if __name__ == "__main__":
    main()
