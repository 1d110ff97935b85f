# SPDX-License-Identifier: GPL-2.0-or-later
"""What a way to save a running VM has to offer."""

from dataclasses import dataclass

from bench.heartbeat import Undisturbed
from bench.huge_pages import HugePages
from bench.vm import BenchError, Vm


class DidNotConverge(BenchError):
    """A migration of the running VM was given up."""


class Unavailable(BenchError):
    """The programs at hand do not have this method."""


@dataclass
class Job:
    """One measurement: the VM, an empty directory for the image, and what the method may use."""

    vm: Vm
    directory: str
    engine: str
    buffer_mib: int
    patience: float  # seconds until a migration that does not converge is given up
    undisturbed: Undisturbed
    huge_pages: HugePages


class Method:
    name = ""

    def prepare(self, job):
        """What comes before the measurement. Returns columns of the row."""
        return {}

    def save(self, job):
        """The measured part. The image is durable when it returns, and the guest runs. Returns columns."""
        raise NotImplementedError

    def close(self):
        """Ends what prepare() has started."""

    def image(self, directory):
        """Where in the job's directory the measured image is."""
        return directory

    def restore(self, tools, vm, image):
        """Into a VM that waits for it."""
        raise NotImplementedError
