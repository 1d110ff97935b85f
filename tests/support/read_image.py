#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A second reader of memory images, written from docs/image-format.md alone.

read_image.py FILE BLOCK PAGE            prints one page; BLOCK is a block's number or its id ("pc.ram")
read_image.py --describe FILE [DIGEST]   checks everything and prints what is in the image, as text

Older files are looked for beside FILE. Exit codes: 0, 1 for a page that is not there, 2 for wrong usage, 4 for
damage, 5 for a version that is too new.
"""

import os
import re
import stat
import sys

# No file locks: network file systems refuse them.
os.environ["HDF5_USE_FILE_LOCKING"] = "FALSE"

import h5py  # noqa: E402
import lz4.block  # noqa: E402
import numpy  # noqa: E402
import xxhash  # noqa: E402

PAGE = 4096
CHUNK_PAGES = 16
CHUNK = CHUNK_PAGES * PAGE
NUMBER = h5py.h5t.STD_U64LE
BYTE = h5py.h5t.STD_U8LE
TEXTS = ("identity", "parent_identity", "machine", "cpu_model", "qemu_version", "capture_kind", "created")


class Damage(Exception):
    exit_code = 4


class TooNew(Damage):
    exit_code = 5


def check(holds, what):
    if not holds:
        raise Damage(what)


def checksum(data):
    return xxhash.xxh3_128(data).hexdigest().encode()


def open_attribute(owner, name):
    attribute = h5py.h5a.open(owner.id, name.encode())
    check(attribute.get_space().get_simple_extent_type() == h5py.h5s.SCALAR, f"{name} is not a single value")
    return attribute


def number(owner, name):
    attribute = open_attribute(owner, name)
    check(attribute.get_type().equal(NUMBER), f"{name} is not a number")
    value = numpy.zeros((), "<u8")
    attribute.read(value)
    return int(value)


def text(owner, name, limit=1024):
    attribute = open_attribute(owner, name)
    kind = attribute.get_type()
    check(isinstance(kind, h5py.h5t.TypeStringID) and not kind.is_variable_str(), f"{name} is not a text")
    check(kind.get_cset() == h5py.h5t.CSET_UTF8 and kind.get_strpad() == h5py.h5t.STR_NULLPAD,
          f"{name} is not a zero-padded UTF-8 text")
    size = kind.get_size()
    check(1 <= size <= limit, f"{name} is a text of {size} bytes")
    value = numpy.zeros((), f"S{size}")
    attribute.read(value, mtype=kind)
    value = bytes(value[()])
    check(not any(byte < 0x20 or byte == 0x7F for byte in value), f"{name} has control characters")
    return value


class ImageFile:
    """One HDF5 file: its header, its table of chunks and its pages."""

    def __init__(self, path):
        self.path = path
        status = os.stat(path)
        check(stat.S_ISREG(status.st_mode), "not a regular file")
        self.size = status.st_size
        with open(path, "rb") as file:
            check(file.read(8) == b"\x89HDF\r\n\x1a\n", "no HDF5 signature")
        self.root = h5py.File(path, "r")
        check(text(self.root, "magic") == b"TLC-MEMORY-IMAGE", "wrong magic")
        self.version = number(self.root, "format_version")
        if self.version > 2:
            raise TooNew(f"format version {self.version}")
        check(self.version >= 1, "format version 0")
        check(number(self.root, "page_size") == PAGE, "page_size is not 4096")
        self.texts = {name: text(self.root, name) for name in TEXTS}
        self.chunks = self.table(self.root, "chunks", NUMBER, 2)
        self.load_chunks()

    def table(self, group, name, kind, rank):
        """A contiguous dataset, checked in every way but for what its numbers mean."""
        dataset = group[name]
        check(isinstance(dataset, h5py.Dataset) and dataset.id.get_type().equal(kind), f"{name} has a wrong type")
        plan = dataset.id.get_create_plist()
        check(plan.get_layout() == h5py.h5d.CONTIGUOUS and plan.get_external_count() == 0,
              f"{name} is not contiguous")
        check(dataset.shape is not None and len(dataset.shape) == rank, f"{name} has a wrong rank")
        size = kind.get_size()
        for extent in dataset.shape:
            size *= extent
        if size:
            offset = dataset.id.get_offset()
            check(offset is not None and dataset.id.get_storage_size() == size and offset + size <= self.size,
                  f"{name} is not all in the file")
        values = dataset[()]
        check(checksum(values.tobytes()) == text(dataset, "xxh3_128", 32), f"checksum of {name}")
        return values

    def load_chunks(self):
        check(self.chunks.shape[1] == 3, "chunks has not three columns")
        self.chunks_sum = checksum(self.chunks.tobytes())
        sizes = self.chunks[:, 0]
        check(((sizes >= 17) & (sizes <= CHUNK + 16)).all(), "impossible size of a chunk")
        check(int(sizes.sum()) <= self.size, "the chunks are larger than the file")
        self.pages = self.root["pages"]
        check(isinstance(self.pages, h5py.Dataset) and self.pages.id.get_type().equal(BYTE)
              and self.pages.shape == (len(sizes) * CHUNK_PAGES, PAGE)
              and self.pages.chunks == (CHUNK_PAGES, PAGE), "pages has a wrong type or shape")

    def read_chunk(self, n):
        size, low, high = (int(value) for value in self.chunks[n])
        place = (n * CHUNK_PAGES, 0)
        found = self.pages.id.get_chunk_info_by_coord(place)
        check(found.size == size and found.filter_mask == 0, f"chunk {n}: {found.size} bytes instead of {size}")
        mask, stored = self.pages.id.read_direct_chunk(place)
        check(mask == 0 and len(stored) == size, f"chunk {n}: stored otherwise")
        check(xxhash.xxh3_128(stored).intdigest() == high << 64 | low, f"checksum of chunk {n}")
        header = [int.from_bytes(stored[a:b], "big") for a, b in ((0, 8), (8, 12), (12, 16))]
        check(header == [CHUNK, CHUNK, size - 16], f"chunk {n}: wrong LZ4 header")
        if size - 16 == CHUNK:
            return stored[16:]
        try:
            data = lz4.block.decompress(stored[16:], uncompressed_size=CHUNK)
        except lz4.block.LZ4BlockError as error:
            raise Damage(f"chunk {n}: {error}") from error
        check(len(data) == CHUNK, f"chunk {n}: {len(data)} bytes")
        return data


class Image(ImageFile):
    """An image with all that belongs to it, checked; the chunks are when they are read."""

    def __init__(self, path, digest=None):
        super().__init__(path)
        self.load_ram()
        self.device_state = self.table(self.root, "device_state", BYTE, 1).tobytes()
        check(len(self.device_state) <= 1 << 30, "device_state is too large")
        self.pause_ns, self.latency_ns = number(self.root, "pause_ns"), number(self.root, "latency_ns")
        group = self.root["counters"]
        names = sorted(group.attrs.keys())
        check(len(names) <= 64 and all(re.fullmatch("[a-z0-9_]{1,64}", name) for name in names),
              "impossible counters")
        self.counters = {name: number(group, name) for name in names}
        self.load_older()
        self.check_entries()
        self.digest = checksum(self.digest_text())
        check(digest is None or self.digest == digest.encode(),
              f"this is not the image that was saved (digest {self.digest.decode()})")

    def load_ram(self):
        ram = self.root["ram"]
        count = number(ram, "blocks")
        check(1 <= count <= 256, f"{count} RAM blocks")
        self.blocks = []
        for n in range(count):
            block = ram[str(n)]
            length = number(block, "length")
            check(PAGE <= length <= 1 << 46 and length % PAGE == 0, f"block {n} has {length} bytes")
            table = self.table(block, "page_table", NUMBER, 1)
            check(len(table) * PAGE == length, f"page_table of block {n} has {len(table)} entries")
            self.blocks.append((text(block, "id"), length, number(block, "page_size"), table))
        ids = [block[0] for block in self.blocks]
        check(all(ids) and len(set(ids)) == count, "a block's id is empty or used twice")

    def load_older(self):
        self.older = []
        listed = "older" in self.root
        check(listed == (self.version == 2), "a list of older files belongs to version 2")
        if not listed:
            return
        count = number(self.root["older"], "files")
        check(1 <= count <= 64, f"{count} older files")
        for n in range(1, count + 1):
            group = self.root["older"][str(n)]
            self.older.append((text(group, "identity", 36), number(group, "chunks"), text(group, "chunks_xxh3_128", 32)))
        names = [identity for identity, _, _ in self.older]
        check(all(re.fullmatch(b"[0-9a-f-]{36}", name) for name in names) and len(set(names)) == count,
              "an older file's identity is no UUID or used twice")
        self.files = []
        for identity, chunks, total in self.older:
            check(1 <= chunks <= 1 << 30, f"an older file of {chunks} chunks")
            file = ImageFile(os.path.join(os.path.dirname(self.path), f"older-{identity.decode()}.h5"))
            check((file.texts["identity"], len(file.chunks), file.chunks_sum) == (identity, chunks, total),
                  f"{file.path} is another file")
            self.files.append(file)

    def file(self, n):
        return self if n == 0 else self.files[n - 1]

    def check_entries(self):
        entries = numpy.concatenate([table[table != 0] for _, _, _, table in self.blocks])
        files, slots = entries >> numpy.uint64(48), (entries & numpy.uint64((1 << 48) - 1)) - numpy.uint64(1)
        slots_of = [len(self.file(n).chunks) * CHUNK_PAGES for n in range(len(self.older) + 1)]
        check((files < len(slots_of)).all(), "a page is in a file that is not listed")
        check((slots < numpy.array(slots_of, "<u8")[files]).all(), "a page is in a slot outside its file")
        check(len(numpy.unique(entries)) == len(entries), "a slot is used twice")

    @staticmethod
    def place(entry):
        """File and slot of a page that is stored."""
        return entry >> 48, (entry & ((1 << 48) - 1)) - 1

    def digest_text(self):
        lines = [b"TLC-MEMORY-IMAGE %d" % self.version]
        lines += [name.encode() + b" " + self.texts[name] for name in TEXTS]
        lines += [b"pause_ns %d" % self.pause_ns, b"latency_ns %d" % self.latency_ns, b"page_size 4096"]
        lines += [b"counter %s %d" % (name.encode(), value) for name, value in self.counters.items()]
        lines += [b"older %d %d %s %s" % (n, chunks, total, identity)
                  for n, (identity, chunks, total) in enumerate(self.older, 1)]
        lines += [b"block %d %d %d %s %s" % (n, length, size, checksum(table.tobytes()), name)
                  for n, (name, length, size, table) in enumerate(self.blocks)]
        lines += [b"chunks %d %s" % (len(self.chunks), self.chunks_sum)]
        lines += [b"device_state %d %s" % (len(self.device_state), checksum(self.device_state))]
        return b"".join(line + b"\n" for line in lines)

    def page(self, block, page):
        entry = int(self.blocks[block][3][page])
        if entry == 0:
            return bytes(PAGE)
        file, slot = self.place(entry)
        at = slot % CHUNK_PAGES * PAGE
        return self.file(file).read_chunk(slot // CHUNK_PAGES)[at:at + PAGE]

    def description(self):
        """The text of the digest but for the chunks, and each page that is not zero with the checksum of its bytes."""
        chunks = {(0, n): self.read_chunk(n) for n in range(len(self.chunks))}
        lines = re.sub(b"(?m)^chunks .*\n", b"", self.digest_text())
        for n, (_, _, _, table) in enumerate(self.blocks):
            for page in numpy.flatnonzero(table):
                file, slot = self.place(int(table[page]))
                key = (file, slot // CHUNK_PAGES)
                if key not in chunks:
                    chunks[key] = self.file(file).read_chunk(key[1])
                at = slot % CHUNK_PAGES * PAGE
                lines += b"page %d %d %s\n" % (n, page, checksum(chunks[key][at:at + PAGE]))
        return lines + b"digest %s\n" % self.digest


def find_block(image, name):
    for n, block in enumerate(image.blocks):
        if name in (str(n), block[0].decode(errors="replace")):
            return n
    sys.exit(f"{image.path}: there is no block {name}")


def run(arguments):
    if arguments[:1] == ["--describe"] and len(arguments) in (2, 3):
        return Image(*arguments[1:]).description()
    if len(arguments) == 3 and arguments[2].isdigit():
        image, page = Image(arguments[0]), int(arguments[2])
        block = find_block(image, arguments[1])
        if page >= len(image.blocks[block][3]):
            sys.exit(f"{image.path}: block {arguments[1]} has {len(image.blocks[block][3])} pages")
        return image.page(block, page)
    print(__doc__, file=sys.stderr)
    sys.exit(2)


def main():
    try:
        sys.stdout.buffer.write(run(sys.argv[1:]))
    except Damage as error:
        print(f"damaged: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, OverflowError, MemoryError) as error:
        print(f"damaged: HDF5 cannot read it: {error}", file=sys.stderr)
        sys.exit(4)


if __name__ == "__main__":
    main()
