#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A VM with a counting guest, for proofs of the QEMU patch."""

import os
import shutil
import struct
import subprocess
import time

import channel_peer as peer

HERE = os.path.dirname(os.path.abspath(__file__))
FIRST, END = 1 << 20, 65 << 20
FIRMWARE = [path for path in ("/usr/share/seabios", "/usr/share/qemu", "/usr/lib/ipxe/qemu")
            if os.path.isdir(path)]


def build_guest(directory):
    object_file, image = f"{directory}/guest.o", f"{directory}/guest.bin"
    subprocess.run(["as", "--32", "-o", object_file, f"{HERE}/counter_guest.S"], check=True)
    subprocess.run(["ld", "-m", "elf_i386", "-Ttext", "0x7c00", "--oformat", "binary",
                    "-o", image, object_file], check=True)
    return image


class Vm:
    """A QEMU with the counting guest; a context manager that ends it."""

    count = 0

    def __init__(self, tools, *extra, incoming=False, memory="128", **process):
        Vm.count += 1
        self.tools = tools
        self.base = f"{tools.directory}/vm{Vm.count}"
        self.passes_file = self.base + ".passes"
        disk = self.base + ".img"
        shutil.copy(tools.guest, disk)
        os.truncate(disk, 1 << 20)
        command = [tools.qemu, "-accel", tools.accel, "-m", memory, "-nodefaults", "-no-user-config",
                   "-display", "none", "-qmp", f"unix:{self.base}.qmp,server=on,wait=off",
                   "-drive", f"file={disk},format=raw,if=none,id=boot",
                   "-device", "virtio-blk-pci,drive=boot,bootindex=1",
                   "-debugcon", f"file:{self.passes_file}", *extra]
        for path in FIRMWARE:
            command += ["-L", path]
        if incoming:
            command += ["-incoming", "defer"]
        if "user" in process:
            os.chown(disk, process["user"], process["user"])
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE,
                                        preexec_fn=peer.die_with_parent, **process)
        for _ in range(200):
            if os.path.exists(self.base + ".qmp"):
                break
            time.sleep(0.05)
        self.qmp = peer.Qmp(self.base + ".qmp")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()
        self.qmp.close()

    def passes(self):
        return os.path.getsize(self.passes_file)

    def wait_passes(self, more, seconds=90):
        goal, end = self.passes() + more, time.monotonic() + seconds
        while self.passes() < goal:
            check(time.monotonic() < end, f"the guest made no {more} passes in {seconds} s")
            time.sleep(0.01)

    def state(self):
        return self.qmp.command("query-status")["status"]

    def wait_tlc(self, status, seconds=10):
        end = time.monotonic() + seconds
        while self.qmp.command("query-tlc")["status"] != status:
            check(time.monotonic() < end, f"query-tlc did not come to '{status}'")
            time.sleep(0.01)
        return self.qmp.command("query-tlc")

    def begin(self, command, **arguments):
        """The listener's end of a new channel after x-tlc-save or x-tlc-load."""
        listener = peer.Listener(f"{self.base}.{time.monotonic_ns()}.sock")
        try:
            os.chmod(listener.path, 0o777)
            self.qmp.command(command, channel=listener.path, **arguments)
            return listener.accept()
        finally:
            listener.close()

    def save(self, in_pause=None, **arguments):
        channel = self.begin("x-tlc-save", **arguments)
        result = peer.save(channel, in_pause)
        channel.close()
        check("error" not in self.wait_tlc("none"), "query-tlc tells an error after a good save")
        return result

    def load(self, image, before_resume=None):
        channel = self.begin("x-tlc-load")
        ready = peer.load(channel, image, before_resume)
        channel.close()
        self.wait_tlc("none")
        return ready


class Tools:
    def __init__(self, qemu, accel, directory):
        self.qemu, self.accel, self.directory = qemu, accel, directory
        self.guest = build_guest(directory)


class Failed(Exception):
    pass


def check(condition, message):
    if not condition:
        raise Failed(message)


def refused(action, *words):
    """action must raise PeerError with all of words in its text."""
    try:
        action()
    except peer.PeerError as error:
        for word in words:
            check(word in str(error), f"'{word}' is not in '{error}'")
        return str(error)
    raise Failed("it was not refused")


def counters(data):
    """The guest's counters in a copy of its RAM."""
    return [struct.unpack_from("<I", data, at)[0] for at in range(FIRST, END, 4096)]


def one_moment(values):
    """True if these counters can be one moment: n+1 up to some page, n behind it."""
    return values == sorted(values, reverse=True) and values[0] - values[-1] <= 1


def ram_now(hello, name="pc.ram"):
    memory = peer.Memory(hello.pid)
    try:
        block = next(block for block in hello.blocks if block.id == name)
        return memory.read(block.host, block.used)
    finally:
        memory.close()
