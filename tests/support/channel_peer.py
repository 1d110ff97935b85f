#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The engine's side of the channel in plain Python, for tests of the QEMU patch.

Slow and simple: whole images are held in memory and nothing is compressed. The
protocol is described in tlc-engine/docs/channel.md. All errors are exceptions.
"""

import array
import ctypes
import fcntl
import json
import mmap
import os
import select
import socket
import struct
import threading

MAGIC = 0x31434C54
VERSION = 4
HELLO, PAUSE, PAUSED, RESUME, RESUMED = 1, 2, 3, 4, 5
LOAD_BEGIN, READY, LOAD_DEVICES, LOADED, ERROR = 6, 7, 8, 9, 15
ARM, ARMED, TRACK, TRACKED, SYNC, SYNCED, RELEASE, RELEASED, FILLED = 10, 11, 12, 13, 14, 16, 17, 18, 19
SYNC_HOLD = 1

HEADER = struct.Struct("<IHHII")
HELLO_HEAD = struct.Struct("<IIIIQ64s64s")
HELLO_BLOCK = struct.Struct("<256sQQQQII")
PAUSED_BODY = struct.Struct("<QQQII")
SYNCED_BODY = struct.Struct("<QQQ")
LOAD_BLOCK = struct.Struct("<256sQ")

UFFDIO_WRITEPROTECT = 0xC018AA06
UFFDIO_ZEROPAGE = 0xC020AA04
UFFDIO_WAKE = 0x8010AA02
UFFD_PAGEFAULT_FLAG_WP = 2
UFFD_EVENT_PAGEFAULT = 0x12
CLUSTER = 64 * 1024
PAGE = 4096


class PeerError(Exception):
    """QEMU sent ERROR, closed the channel, or broke the protocol."""


class Block:
    """One RAM block as HELLO or READY describes it; lengths in bytes."""

    def __init__(self, raw):
        name, self.host, self.used, self.maximum, self.page_size, self.flags, _ = raw
        self.id = name.split(b"\0", 1)[0].decode()
        self.protectable = bool(self.flags & 1)
        self.missing = bool(self.flags & 2)

    def __repr__(self):
        return f"{self.id}: {self.used} bytes, flags {self.flags}"


class Hello:
    def __init__(self, payload):
        head = HELLO_HEAD.unpack_from(payload)
        self.mode, self.page_size, count, self.pid, _ = head[:5]
        self.qemu_version, self.machine = (text.split(b"\0", 1)[0].decode() for text in head[5:])
        if len(payload) != HELLO_HEAD.size + count * HELLO_BLOCK.size:
            raise PeerError("HELLO has the wrong length")
        self.blocks = [Block(raw) for raw in HELLO_BLOCK.iter_unpack(payload[HELLO_HEAD.size:])]


class Image:
    """A saved VM: the bytes of each block by its id, and the device state."""

    def __init__(self):
        self.blocks = {}
        self.devices = b""
        self.was_running = False
        self.pause_ns = 0


class Listener:
    """The Unix socket that QEMU is told to connect to."""

    def __init__(self, path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.bind(path)
        self.socket.listen(1)
        self.socket.settimeout(20)

    def accept(self):
        connection, _ = self.socket.accept()
        return Channel(connection)

    def close(self):
        self.socket.close()
        os.unlink(self.path)


class Channel:
    def __init__(self, connection):
        self.socket = connection
        self.socket.settimeout(30)

    def send(self, kind, payload=b"", fds=(), magic=MAGIC, version=VERSION, length=None):
        size = len(payload) if length is None else length
        frame = HEADER.pack(magic, version, kind, size, 0) + payload
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.socket.sendmsg([frame], rights)

    def receive(self):
        """The next message: (type, payload, fds); ERROR is raised as PeerError."""
        head, fds = self._read(HEADER.size)
        magic, version, kind, length, _ = HEADER.unpack(head)
        if magic != MAGIC or version != VERSION:
            raise PeerError("QEMU sent a frame with a wrong magic number or version")
        payload, more = self._read(length)
        if kind == ERROR:
            raise PeerError(payload.decode())
        return kind, payload, fds + more

    def expect(self, kind):
        got, payload, fds = self.receive()
        if got != kind:
            raise PeerError(f"message {kind} was expected, {got} came")
        return payload, fds

    def _read(self, size):
        data, fds = b"", []
        while len(data) < size:
            chunk, ancillary, _, _ = self.socket.recvmsg(size - len(data), socket.CMSG_SPACE(64))
            for _, _, raw in ancillary:
                received = array.array("i")
                received.frombytes(raw[: len(raw) - len(raw) % received.itemsize])
                fds += received
            if not chunk:
                raise PeerError("QEMU closed the channel")
            data += chunk
        return data, fds

    def close(self):
        self.socket.close()


class Memory:
    """Another process's memory through /proc."""

    def __init__(self, pid):
        self.fd = os.open(f"/proc/{pid}/mem", os.O_RDWR)
        self.pagemap = os.open(f"/proc/{pid}/pagemap", os.O_RDONLY)

    def read(self, address, length):
        data = os.pread(self.fd, length, address)
        if len(data) != length:
            raise PeerError(f"only {len(data)} of {length} bytes could be read")
        return data

    def read_present(self, address, length):
        """As read(), but a page that was never touched is taken for zero and stays so."""
        entries = os.pread(self.pagemap, length // PAGE * 8, address // PAGE * 8)
        present = [entry for entry, in struct.iter_unpack("<Q", entries)]
        if all(present):
            return self.read(address, length)
        return b"".join(self.read(address + i * PAGE, PAGE) if entry else bytes(PAGE)
                        for i, entry in enumerate(present))

    def write(self, address, data):
        while data:
            count = os.pwrite(self.fd, data, address)
            address, data = address + count, data[count:]

    def close(self):
        os.close(self.fd)
        os.close(self.pagemap)


class Pager:
    """Serves the faults of watched memory; from protect() on it copies, each cluster once."""

    def __init__(self, uffd, memory, blocks):
        self.uffd, self.memory, self.blocks = uffd, memory, blocks
        self.copies = {block.id: bytearray(block.used) for block in blocks}
        self.done = {block.id: set() for block in blocks}
        self.lock = threading.Lock()
        self.protected = False
        self.faults = self.missing = 0
        self.stop_read, self.stop_write = os.pipe()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _copy(self, block, cluster):
        if cluster in self.done[block.id]:
            return
        start = cluster * CLUSTER
        length = min(CLUSTER, block.used - start)
        self.copies[block.id][start:start + length] = self.memory.read_present(block.host + start, length)
        self.done[block.id].add(cluster)
        write_protect(self.uffd, block.host + start, length, 0)

    def _serve(self):
        while True:
            ready, _, _ = select.select([self.uffd, self.stop_read], [], [])
            if self.stop_read in ready:
                return
            try:
                message = os.read(self.uffd, 32)
            except BlockingIOError:
                continue
            if message[0] != UFFD_EVENT_PAGEFAULT:
                raise PeerError(f"userfaultfd event {message[0]} came")
            flags, address = struct.unpack_from("<QQ", message, 8)
            with self.lock:
                self._serve_one(address, bool(flags & UFFD_PAGEFAULT_FLAG_WP))

    def _serve_one(self, address, write):
        for block in self.blocks:
            if block.host <= address < block.host + block.used and self.protected:
                self._copy(block, (address - block.host) // CLUSTER)
        if write:
            self.faults += 1
        else:
            self.missing += 1
            zero_page(self.uffd, address & -PAGE)

    def protect(self):
        """In the pause: what memory holds now is what the copies will be."""
        with self.lock:
            for block in self.blocks:
                write_protect(self.uffd, block.host, block.used, 1)
            self.protected = True

    def sweep(self):
        for block in self.blocks:
            for cluster in range((block.used + CLUSTER - 1) // CLUSTER):
                with self.lock:
                    self._copy(block, cluster)

    def close(self):
        os.write(self.stop_write, b"x")
        self.thread.join()
        os.close(self.stop_read)
        os.close(self.stop_write)


def write_protect(uffd, address, length, on):
    fcntl.ioctl(uffd, UFFDIO_WRITEPROTECT, struct.pack("<QQQ", address, length, on))


def zero_page(uffd, address):
    try:
        fcntl.ioctl(uffd, UFFDIO_ZEROPAGE, struct.pack("<QQQq", address, PAGE, 0, 0))
    except FileExistsError:  # somebody else touched it, too: only wake this one
        fcntl.ioctl(uffd, UFFDIO_WAKE, struct.pack("<QQ", address, PAGE))


def save(channel, in_pause=None):
    """Play a whole save; HELLO has not been read yet. Returns (Hello, Image, faults).

    in_pause(hello, memory) is called while the VM is paused.
    """
    hello = Hello(channel.expect(HELLO)[0])
    channel.send(ARM)
    uffd = channel.expect(ARMED)[1][0]
    memory = Memory(hello.pid)
    pager = Pager(uffd, memory, [block for block in hello.blocks if block.protectable])
    image = Image()
    memfd = -1
    try:
        channel.send(PAUSE)
        body, (memfd,) = channel.expect(PAUSED)
        length, began, stopped, was_running, _ = PAUSED_BODY.unpack(body)
        image.was_running, image.pause_ns = bool(was_running), stopped - began
        pager.protect()
        image.devices = os.pread(memfd, length, 0)
        for block in hello.blocks:
            if not block.protectable:
                image.blocks[block.id] = memory.read(block.host, block.used)
        if in_pause:
            in_pause(hello, memory)
        channel.send(RESUME)
        channel.expect(RESUMED)
        pager.sweep()
        image.blocks.update(pager.copies)
    finally:
        pager.close()
        memory.close()
        os.close(uffd)
        if memfd >= 0:
            os.close(memfd)
    return hello, image, pager.faults


class DirtyLog:
    """QEMU's record of written pages; begins with TRACK, after HELLO."""

    def __init__(self, channel, hello):
        self.channel, self.hello = channel, hello
        channel.send(TRACK, struct.pack("<II", 0, 0))
        body, (fd,) = channel.expect(TRACKED)
        self.length, = struct.unpack("<Q", body)
        if self.length != os.fstat(fd).st_size:
            raise PeerError("TRACKED tells another length than the bitmap has")
        self.map = mmap.mmap(fd, self.length)
        os.close(fd)

    def sync(self, hold=False):
        """The pages written since the last time, as {block id: set of page numbers}.

        Only for a test are bits taken without care for QEMU setting others: it sets none between syncs.
        """
        self.channel.send(SYNC, struct.pack("<II", SYNC_HOLD if hold else 0, 0))
        new, began, ended = SYNCED_BODY.unpack(self.channel.expect(SYNCED)[0])
        if began > ended:
            raise PeerError("SYNCED ends before it begins")
        pages, at = {}, 0
        for block in self.hello.blocks:
            words = (block.used // PAGE + 63) // 64
            bits = int.from_bytes(self.map[at:at + 8 * words], "little")
            pages[block.id] = {i for i in range(64 * words) if bits >> i & 1} if bits else set()
            at += 8 * words
        self.map[:] = bytes(self.length)
        if new != sum(map(len, pages.values())):
            raise PeerError("SYNCED tells another number of pages than the bitmap has")
        return pages

    def release(self):
        self.channel.send(RELEASE)
        self.channel.expect(RELEASED)


def load_begin(image):
    payload = struct.pack("<II", len(image.blocks), 0)
    for name, data in image.blocks.items():
        payload += LOAD_BLOCK.pack(name.encode(), len(data))
    return payload


def fill(hello, image, chunk=1 << 20):
    """Write the image's pages that are not zero into a VM whose RAM is empty."""
    memory = Memory(hello.pid)
    zero = bytes(chunk)
    try:
        for block in hello.blocks:
            data = image.blocks[block.id]
            for start in range(0, len(data), chunk):
                part = bytes(data[start:start + chunk])
                if part != zero[: len(part)]:
                    memory.write(block.host + start, part)
    finally:
        memory.close()


def device_file(data):
    fd = os.memfd_create("device-state")
    os.write(fd, data)
    return fd


def load(channel, image, before_resume=None):
    """Play a whole load. Returns the Hello of READY."""
    channel.expect(HELLO)
    channel.send(LOAD_BEGIN, load_begin(image))
    ready = Hello(channel.expect(READY)[0])
    fill(ready, image)
    fd = device_file(image.devices)
    channel.send(LOAD_DEVICES, struct.pack("<Q", len(image.devices)), [fd])
    os.close(fd)
    channel.expect(LOADED)
    if before_resume:
        before_resume(ready)
    channel.send(RESUME)
    channel.expect(RESUMED)
    return ready


class Qmp:
    """A QMP client: commands wait for their answer, events are kept in a list."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(20)
        self.socket.connect(path)
        self.file = self.socket.makefile("r")
        self.events = []
        self.file.readline()
        self.command("qmp_capabilities")

    def command(self, name, **arguments):
        request = {"execute": name, "arguments": {k.replace("_", "-"): v for k, v in arguments.items()}}
        self.socket.sendall(json.dumps(request).encode())
        while True:
            line = self.file.readline()
            if not line:
                raise PeerError("QEMU closed QMP")
            answer = json.loads(line)
            if "event" in answer:
                self.events.append(answer)
            elif "error" in answer:
                raise PeerError(answer["error"]["desc"])
            else:
                return answer["return"]

    def close(self):
        self.file.close()
        self.socket.close()


def die_with_parent():
    """For preexec_fn: a test that is killed leaves no QEMU behind."""
    ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)
