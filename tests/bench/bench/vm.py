# SPDX-License-Identifier: GPL-2.0-or-later
"""A virtual machine with one of the benchmark's workloads, and the recorder of its heartbeat."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

from bench.heartbeat import Beats

sys.path.append(os.path.join(os.path.dirname(__file__), "../../support"))
from channel_peer import PeerError, Qmp, die_with_parent  # noqa: E402

FIRMWARE = ("/usr/share/seabios", "/usr/share/qemu")
KERNEL_OPTIONS = "console=ttyS0 quiet panic=-1 cryptomgr.notests"


class BenchError(Exception):
    """A measurement cannot be made; the text is for the user."""


@dataclass(frozen=True)
class Tools:
    """Where the programs are."""

    qemu: str
    kernel: str
    initramfs: str
    recorder: str
    engine: str


@dataclass(frozen=True)
class Shape:
    """What a machine is made of; a restore must use the same."""

    workload: str
    vcpus: int
    ram_mib: int

    @property
    def network(self):
        return self.workload == "iperf3"


def qemu_command(tools, shape, directory, kernel_options):
    """A new machine boots; one without kernel options waits for a restore."""
    command = [tools.qemu, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
               "-machine", "q35,graphics=off,vmport=off", "-accel", "tcg,thread=multi,tb-size=256",
               "-cpu", "qemu64", "-smp", str(shape.vcpus), "-m", f"{shape.ram_mib}M"]
    for path in FIRMWARE:
        command += ["-L", path]
    for name in ("qmp", "engine"):
        command += ["-qmp", f"unix:{directory}/{name}.sock,server=on,wait=off"]
    command += ["-chardev", f"socket,id=beats,path={directory}/beats.sock,server=on,wait=off",
                "-device", "isa-debugcon,iobase=0xe9,chardev=beats",
                "-serial", f"file:{directory}/console"]
    if shape.network:
        command += ["-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile="]
    if kernel_options:
        return command + ["-kernel", tools.kernel, "-initrd", tools.initramfs, "-append", kernel_options]
    return command + ["-incoming", "defer"]


class Vm:
    """A QEMU and its recorder; a context manager that ends both. Its files are in memory."""

    def __init__(self, tools, shape, port=None, restore=False):
        self.shape = shape
        self.children = []
        self.qmp = None
        self.directory = tempfile.mkdtemp(prefix="tlc-bench-", dir="/dev/shm")
        options = None
        if not restore:
            options = f"{KERNEL_OPTIONS} bench={shape.workload} threads={shape.vcpus}"
            options += f" port={port}" if port else ""
        try:
            self.process = self._start(qemu_command(tools, shape, self.directory, options))
            self._wait_for(f"{self.directory}/beats.sock")
            self._wait_for(f"{self.directory}/engine.sock")
            self.qmp = Qmp(f"{self.directory}/qmp.sock")
            processors = [f"/proc/{self.pid}/task/{cpu['thread-id']}/schedstat"
                          for cpu in self.qmp.command("query-cpus-fast")]
            self._start([tools.recorder, f"{self.directory}/beats.sock", f"{self.directory}/beats", *processors])
            self._wait_for(f"{self.directory}/beats")
            self.beats = Beats(f"{self.directory}/beats")
        except BaseException:
            self.close()
            raise

    @property
    def engine_socket(self):
        return f"{self.directory}/engine.sock"

    @property
    def pid(self):
        return self.process.pid

    def _start(self, command):
        with open(f"{self.directory}/{os.path.basename(command[0])}.log", "wb") as log:
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                     preexec_fn=die_with_parent)
        self.children.append(child)
        return child

    def _wait_for(self, path):
        end = time.monotonic() + 20
        while not os.path.exists(path):
            if time.monotonic() > end or any(child.poll() is not None for child in self.children):
                raise BenchError(f"the virtual machine did not start: {self.complaints() or 'no message'}")
            time.sleep(0.01)

    def complaints(self):
        """What QEMU, the recorder and the guest's console have said last."""
        said = []
        for name in sorted(os.listdir(self.directory)):
            if name.endswith(".log") or name == "console":
                with open(f"{self.directory}/{name}", errors="replace") as file:
                    said += file.read().split("\n")[-4:]
        return "; ".join(line.strip() for line in said if line.strip())

    def check(self):
        """Raises if the VM is not as a measurement needs it."""
        for child in self.children:
            if child.poll() is not None:
                raise BenchError(f"{os.path.basename(child.args[0])} has ended: {self.complaints()}")
        if self.beats.update().wrong:
            raise BenchError(f"the guest found its data wrong: {self.complaints()}")

    def wait(self, condition, seconds, what):
        """Until condition(beats) is true."""
        end = time.monotonic() + seconds
        while True:
            self.check()
            if condition(self.beats):
                return
            if time.monotonic() > end:
                raise BenchError(f"{what} did not happen within {seconds} s: {self.complaints()}")
            time.sleep(0.05)

    def cont(self):
        self.qmp.command("cont")

    def stop(self):
        self.qmp.command("stop")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for child in self.children:
            child.kill()
            child.wait()
        if self.qmp:
            self.qmp.close()
        shutil.rmtree(self.directory, ignore_errors=True)
