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
import os
import select
import socket
import struct
import threading

MAGIC = 0x31434C54
VERSION = 1
HELLO, PAUSE, PAUSED, RESUME, RESUMED = 1, 2, 3, 4, 5
LOAD_BEGIN, READY, LOAD_DEVICES, LOADED, ERROR = 6, 7, 8, 9, 15

HEADER = struct.Struct("<IHHII")
HELLO_HEAD = struct.Struct("<IIIIQ64s64s")
HELLO_BLOCK = struct.Struct("<256sQQQQII")
PAUSED_BODY = struct.Struct("<QQQII")
LOAD_BLOCK = struct.Struct("<256sQ")

UFFDIO_WRITEPROTECT = 0xC018AA06
UFFD_EVENT_PAGEFAULT = 0x12
CLUSTER = 64 * 1024


class PeerError(Exception):
    """QEMU sent ERROR, closed the channel, or broke the protocol."""


class Block:
    """One RAM block as HELLO or READY describes it; lengths in bytes."""

    def __init__(self, raw):
        name, self.host, self.used, self.maximum, self.page_size, self.flags, _ = raw
        self.id = name.split(b"\0", 1)[0].decode()
        self.protectable = bool(self.flags & 1)

    def __repr__(self):
        return f"{self.id}: {self.used} bytes, flags {self.flags}"


class Hello:
    def __init__(self, payload):
        head = HELLO_HEAD.unpack_from(payload)
        self.mode, self.page_size, count, self.pid, self.features = head[:5]
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

    def read(self, address, length):
        data = os.pread(self.fd, length, address)
        if len(data) != length:
            raise PeerError(f"only {len(data)} of {length} bytes could be read")
        return data

    def write(self, address, data):
        while data:
            count = os.pwrite(self.fd, data, address)
            address, data = address + count, data[count:]

    def close(self):
        os.close(self.fd)


class Pager:
    """Copies write-protected memory while its owner runs, each cluster once."""

    def __init__(self, uffd, memory, blocks):
        self.uffd, self.memory, self.blocks = uffd, memory, blocks
        self.copies = {block.id: bytearray(block.used) for block in blocks}
        self.done = {block.id: set() for block in blocks}
        self.lock = threading.Lock()
        self.faults = 0
        self.stop_read, self.stop_write = os.pipe()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _copy(self, block, cluster):
        if cluster in self.done[block.id]:
            return
        start = cluster * CLUSTER
        length = min(CLUSTER, block.used - start)
        self.copies[block.id][start:start + length] = self.memory.read(block.host + start, length)
        self.done[block.id].add(cluster)
        unprotect(self.uffd, block.host + start, length)

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
            address = struct.unpack_from("<Q", message, 16)[0]
            with self.lock:
                self.faults += 1
                for block in self.blocks:
                    if block.host <= address < block.host + block.used:
                        self._copy(block, (address - block.host) // CLUSTER)

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


def unprotect(uffd, address, length):
    fcntl.ioctl(uffd, UFFDIO_WRITEPROTECT, struct.pack("<QQQ", address, length, 0))


def save(channel, in_pause=None):
    """Play a whole save; HELLO has not been read yet. Returns (Hello, Image, faults).

    in_pause(hello, memory) is called while the VM is paused.
    """
    hello = Hello(channel.expect(HELLO)[0])
    channel.send(PAUSE)
    body, fds = channel.expect(PAUSED)
    uffd, memfd = fds
    length, began, protected, was_running, _ = PAUSED_BODY.unpack(body)
    image = Image()
    image.was_running, image.pause_ns = bool(was_running), protected - began
    memory = Memory(hello.pid)
    pager = Pager(uffd, memory, [block for block in hello.blocks if block.protectable])
    try:
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
        os.close(memfd)
    return hello, image, pager.faults


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
