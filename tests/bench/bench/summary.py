# SPDX-License-Identifier: GPL-2.0-or-later
"""Rows of the same measurement put together."""

import statistics
from collections import namedtuple

from bench import methods, suites

Spread = namedtuple("Spread", "median low high")
NOISY = ("pause_ms", "overhead_s")
Group = namedtuple("Group", "suite vcpus ram_mib buffer_mib")


class Summary:
    """The rows of one group: the same suite and VM, differing in workload, method and run."""

    def __init__(self, rows):
        self.rows = rows
        self.workloads = [name for name in suites.WORKLOADS if any(row["workload"] == name for row in rows)]
        self.methods = [name for name in methods.ALL if any(row["method"] == name for row in rows)]

    def of(self, workload, method):
        return [row for row in self.rows if row["workload"] == workload and row["method"] == method]

    def spread(self, workload, method, column):
        """Of the measurements that came to an end; None if there are none."""
        values = [row[column] for row in self.of(workload, method)
                  if row["status"] == "ok" and row.get(column) is not None]
        return Spread(statistics.median(values), min(values), max(values)) if values else None

    def ratio(self, workload, method, column):
        """To stop-save; None where that is hardly more than noise, as the control tells it."""
        spread, base = self.spread(workload, method, column), self.spread(workload, "stop-save", column)
        if not spread or not base:
            return None
        control = self.spread(workload, "none", column) if column in NOISY else None
        noise = max(abs(control.low), abs(control.high)) if control else 0
        return spread.median / base.median if base.median > 2 * noise else None

    def status(self, workload, method):
        """'ok', or what is there instead of numbers: the most frequent reason."""
        states = [row["status"] for row in self.of(workload, method)]
        return "ok" if "ok" in states else max(states, key=states.count) if states else "not measured"


def groups(rows):
    """Summaries by Group, the first suite first."""
    found = {}
    for row in rows:
        found.setdefault(Group(row["suite"], row["vcpus"], row["ram_mib"], row["buffer_mib"]), []).append(row)
    order = list(suites.SUITES)
    return {group: Summary(found[group]) for group in sorted(found, key=lambda g: (order.index(g.suite), g[1:]))}
