# SPDX-License-Identifier: GPL-2.0-or-later
"""The methods that are compared, by name, in the order of the tables."""

import time

from bench.engine import Engine, Incremental, Served
from bench.method import Method
from bench.qemu import Migration


class Nothing(Method):
    """The control: whatever is measured here is noise."""

    name = "none"

    def save(self, job):
        time.sleep(1)
        return {}


ALL = {method.name: method for method in (
    Nothing(),
    Migration("stop-save", stopped=True),
    Migration("mapped-ram", ["mapped-ram"], stopped=True),
    Migration("mapped-ram-multifd", ["mapped-ram", "multifd"], stopped=True, channels=2),
    Migration("background-snapshot", ["background-snapshot"]),
    Migration("live-migrate-file"),
    Engine("log-nonstop", "log:nonstop"),
    Engine("log-1000", "log:1000"),
    Engine("mem-1000", "mem:1000"),
    Engine("onepass", "log:onepass"),
    Served("cow"),
    Incremental("cow-incremental"),
)}
