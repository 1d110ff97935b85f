# SPDX-License-Identifier: GPL-2.0-or-later
"""QEMU's own ways: a migration into a file, of the stopped VM or of the running one."""

import os
import time

from bench.method import DidNotConverge, Method
from bench.vm import BenchError, PeerError

UNLIMITED = 1 << 50  # bytes a second
POLL = 0.005
LONGEST_RESTORE = 60  # seconds


def make_durable(path):
    for name in (path, os.path.dirname(path)):
        fd = os.open(name, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)


class Migration(Method):
    def __init__(self, name, capabilities=(), stopped=False, channels=0):
        self.name, self.capabilities, self.stopped, self.channels = name, capabilities, stopped, channels

    def _configure(self, qmp, on, saving=True):
        # Write protection concerns only the side that saves.
        own = [name for name in self.capabilities if saving or name != "background-snapshot"]
        if own:
            qmp.command("migrate-set-capabilities", capabilities=[{"capability": name, "state": on} for name in own])
        parameters = {"max_bandwidth": UNLIMITED if on else 128 << 20, "downtime_limit": 300}
        if self.channels:
            parameters["multifd_channels"] = self.channels
        qmp.command("migrate-set-parameters", **parameters)

    def save(self, job):
        qmp = job.vm.qmp
        path = f"{job.directory}/image"
        self._configure(qmp, True)
        try:
            if self.stopped:
                job.vm.stop()
            qmp.command("migrate", uri=f"file:{path}")
            info = self._wait(qmp, job.patience)
        finally:
            # Also after a failure; a migration that completes leaves the VM stopped, too.
            if not qmp.command("query-status")["running"]:
                job.vm.cont()
            self._configure(qmp, False)
        make_durable(path)
        return {"saved_pages": info["ram"]["normal"]}

    def _wait(self, qmp, patience):
        end = time.monotonic() + patience
        while True:
            info = qmp.command("query-migrate")
            status = info.get("status")
            if status == "completed":
                return info
            if status in ("failed", "cancelled"):
                raise BenchError(f"the migration has {status}: {info.get('error-desc', 'no reason given')}")
            if time.monotonic() > end:
                qmp.command("migrate_cancel")
                while qmp.command("query-migrate")["status"] == "cancelling":
                    time.sleep(POLL)
                raise DidNotConverge(f"still copying after {patience:.0f} s")
            time.sleep(POLL)

    def restore(self, tools, vm, image):
        self._configure(vm.qmp, True, saving=False)
        vm.qmp.command("migrate-incoming", uri=f"file:{image}/image")
        try:
            self._wait(vm.qmp, LONGEST_RESTORE)
        except PeerError as error:
            raise BenchError(f"QEMU ended while it loaded the image ({error}): {vm.complaints()}") from error
