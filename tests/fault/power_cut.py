# SPDX-License-Identifier: GPL-2.0-or-later
"""What a loss of power may leave of a directory, rebuilt from a journal.

Model: fsync makes a file's data durable, fsync of a directory its entries, and nothing else does. Until then
each write and each change of an entry may be there or not, independently; writes are torn between sectors of
512 bytes; a rename is one change. A file whose fsync failed has lost what was not durable before: a later
fsync does not bring it back. A directory whose fsync failed has its changes still before it.
"""

import hashlib

SECTOR = 512


class File:
    def __init__(self):
        self.durable = b""
        self.now = bytearray()
        self.pending = []  # (offset, bytes), or (size, None) for a truncation
        self.lost = []

    def write(self, offset, data):
        put(self.now, offset, data)
        self.pending.append((offset, data))

    def truncate(self, size):
        resize(self.now, size)
        self.pending.append((size, None))

    def sync(self):
        if not self.pending:
            return
        content = bytearray(self.durable)
        for offset, data in self.pending:
            put(content, offset, data)
        self.durable = bytes(content)
        self.pending = []

    def lose(self):
        self.lost += self.pending
        self.pending = []

    def content(self, choice):
        if choice.data == "none" or not (self.pending or self.lost):
            return self.durable
        if choice.data == "all":
            return bytes(self.now)
        if choice.data == "zeros":
            return self.durable[:len(self.now)].ljust(len(self.now), b"\0")
        content = bytearray(self.durable)
        for offset, data in self.lost + self.pending:
            way = choice.random.randrange(3)
            if way == 0 or data is None:
                if way:
                    resize(content, offset)
            elif way == 1:
                put(content, offset, data)
            else:
                for start, part in sectors(offset, data):
                    if choice.random.randrange(2):
                        put(content, start, part)
        if choice.random.randrange(2) and len(content) < len(self.now):
            resize(content, len(self.now))
        return bytes(content)


class Directory:
    def __init__(self):
        self.durable = {}
        self.now = {}
        self.pending = []  # (name, node or None, old name or None)

    def change(self, name, node, old=None):
        change = (name, node if node else self.now.get(name), old, node is None)
        self.pending.append(change)
        apply(self.now, change)

    def sync(self):
        self.durable = dict(self.now)
        self.pending = []

    def lose(self):
        pass

    def content(self, choice):
        if choice.names == "none":
            return self.durable
        if choice.names == "all":
            return self.now
        entries = dict(self.durable)
        for change in self.pending:
            if choice.random.randrange(2):
                apply(entries, change)
        return entries


def apply(entries, change):
    name, node, old, removed = change
    if removed:
        if entries.get(name) is node:
            del entries[name]
        return
    if old is not None and entries.get(old) is node:
        del entries[old]
    entries[name] = node


def resize(content, size):
    if size < len(content):
        del content[size:]
    else:
        content.extend(bytes(size - len(content)))


def put(content, offset, data):
    if data is None:
        return resize(content, offset)
    if offset > len(content):
        resize(content, offset)
    content[offset:offset + len(data)] = data


def sectors(offset, data):
    at = 0
    while at < len(data):
        end = min(len(data), (offset + at) // SECTOR * SECTOR + SECTOR - offset)
        yield offset + at, data[at:end]
        at = end


class Choice:
    """Which of what is not durable survives: "none", "all", "random"; of data also "zeros" (the size does)."""

    def __init__(self, names, data, random=None):
        self.names, self.data, self.random = names, data, random


DURABLE = Choice("none", "none")
EVERYTHING = Choice("all", "all")
# What some file systems make of a rename without an fsync.
NAMES_ONLY = Choice("all", "none")
NAMES_AND_SIZES = Choice("all", "zeros")


class Disk:
    def __init__(self):
        self.root = Directory()
        self.by_inode = {}

    def find(self, path):
        node = self.root
        for part in path.split("/") if path else []:
            node = node.now[part]
        return node

    def place(self, path):
        parent, _, name = path.rpartition("/")
        return self.find(parent), name

    def node(self, inode):
        return self.by_inode.get(inode, self.root)  # the directory itself was not made

    def do(self, operation, arguments, data):
        if operation in ("create", "mkdir"):
            path, inode = arguments
            self.by_inode[inode] = File() if operation == "create" else Directory()
            directory, name = self.place(path)
            directory.change(name, self.by_inode[inode])
        elif operation == "write":
            offset, length, start = (int(number) for number in arguments[1:])
            self.node(arguments[0]).write(offset, data[start:start + length])
        elif operation == "truncate":
            self.node(arguments[0]).truncate(int(arguments[1]))
        elif operation == "sync":
            self.node(arguments[0]).sync()
        elif operation == "lost":
            self.node(arguments[0]).lose()
        elif operation in ("unlink", "rmdir"):
            directory, name = self.place(arguments[0])
            directory.change(name, None)
        elif operation == "link":
            directory, name = self.place(arguments[1])
            directory.change(name, self.find(arguments[0]))
        elif operation == "rename":
            directory, name = self.place(arguments[1])
            source, old = self.place(arguments[0])
            if source is not directory:
                raise ValueError("a rename from one directory to another is not simulated")
            directory.change(name, self.find(arguments[0]), old)
        elif operation not in ("nothing", "failed"):
            raise ValueError(f"unknown operation {operation}")

    def tree(self, choice):
        """{path: (node, content) for files, None for directories}; a file has one content, whatever its links."""
        found, contents = {}, {}

        def walk(directory, prefix):
            for name, node in sorted(directory.content(choice).items()):
                if isinstance(node, Directory):
                    found[prefix + name] = None
                    walk(node, prefix + name + "/")
                else:
                    if node not in contents:
                        contents[node] = node.content(choice)
                    found[prefix + name] = (node, contents[node])

        walk(self.root, "")
        return found


def digest(tree, known={}):
    sum_ = hashlib.blake2b(digest_size=16)
    for path, entry in tree.items():
        sum_.update(path.encode() + b"\0")
        if entry:
            # Durable contents are the same object time after time.
            key = id(entry[1])
            if len(known) > 100:
                known.clear()
            if known.get(key, (None,))[0] is not entry[1]:
                known[key] = (entry[1], hashlib.blake2b(entry[1], digest_size=16).digest())
            sum_.update(known[key][1])
    return sum_.digest()


def build(tree, root):
    """Makes the tree below the directory root, a pathlib.Path."""
    made = {}
    for path, entry in tree.items():
        target = root / path
        if entry is None:
            target.mkdir(0o700)
        elif entry[0] in made:
            target.hardlink_to(made[entry[0]])
        else:
            target.write_bytes(entry[1])
            made[entry[0]] = target
