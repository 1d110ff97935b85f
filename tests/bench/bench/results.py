# SPDX-License-Identifier: GPL-2.0-or-later
"""results.json: one row a measurement, saved after each; and the line that is shown for it."""

import json
import os
import platform
import subprocess
import sys
import time

from bench.vm import BenchError

# Every row has these; null where a method has no such thing.
COLUMNS = ("pause_ms", "overhead_s", "latency_s", "image_mib", "buffer_peak_mib", "engine_rss_mib", "engine_pause_ms",
           "working_set_pages", "table_pages", "skipped_opt1", "skipped_opt2", "saved_pages", "tracking_cost")
KEY = ("suite", "workload", "method", "run", "vcpus", "ram_mib", "buffer_mib")


def _write_json(path, data):
    with open(path + ".new", "w") as file:
        json.dump(data, file, indent=1)
    os.replace(path + ".new", path)


def _read(path):
    with open(path) as file:
        return file.read().strip()


def _version(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.split("\n")[0]


def machine(directory, engine):
    """What the numbers depend on, without names."""
    cpu = next((line.split(":")[1].strip() for line in _read("/proc/cpuinfo").split("\n") if "model name" in line), "?")
    memory = int(_read("/proc/meminfo").split()[1]) // 1024
    return {"cpu": cpu, "cpus": os.cpu_count(), "memory_mib": memory, "kernel": platform.release(),
            "file_system": _version("findmnt", "-no", "FSTYPE", "-T", directory),
            "huge_pages": _read("/sys/kernel/mm/transparent_hugepage/enabled"),
            "qemu": _version(os.environ["TLC_QEMU"], "--version"), "engine": _version(engine, "--version")}


class Results:
    """The rows of a directory. One measured again takes the place of the older one."""

    def __init__(self, directory, chosen):
        self.directory = directory
        self.rows, self.machine = [], {}
        self.expected = self.done = 0
        self.began = time.monotonic()
        if chosen.out:
            os.makedirs(directory, exist_ok=True)
        elif not os.path.exists(f"{directory}/results.json"):
            raise BenchError(f"there is no results.json in {directory}")
        if os.path.exists(f"{directory}/results.json"):
            with open(f"{directory}/results.json") as file:
                self.rows = json.load(file)
        if chosen.out:
            engine = chosen.engine or os.path.join(os.environ["TLC_BUILD"], "bin/tlc-engine")
            _write_json(f"{directory}/machine.json", machine(directory, engine))
        if os.path.exists(f"{directory}/machine.json"):
            with open(f"{directory}/machine.json") as file:
                self.machine = json.load(file)

    def expect(self, measurements):
        self.expected, self.began = measurements, time.monotonic()

    def any(self, **wanted):
        return any(all(row.get(name) == value for name, value in wanted.items()) for row in self.rows)

    def add(self, row):
        row = {**row, **{name: row.get(name) for name in COLUMNS}}
        self.rows = [old for old in self.rows if any(old.get(name) != row.get(name) for name in KEY)] + [row]
        _write_json(f"{self.directory}/results.json", self.rows)
        self.done += 1
        self._show(row)

    def _show(self, row):
        passed = time.monotonic() - self.began
        left = passed / self.done * (self.expected - self.done)
        text = f"{row['workload']} x{row['vcpus']} {row['ram_mib']}M run {row['run']} {row['method']:20}"
        for name, unit in (("pause_ms", "ms"), ("overhead_s", "s"), ("latency_s", "s"), ("image_mib", "MiB")):
            if row.get(name) is not None:
                text += f" {name.rsplit('_', 1)[0]} {row[name]:.{2 if unit == 's' else 0 if unit == 'MiB' else 1}f} {unit}"
        if row["status"] != "ok":
            text += f" {row['status']}: {row.get('error', '')}"
        if "verified" in row:
            text += " verified" if row["verified"] else f" NOT VERIFIED: {row.get('verify_error', '')}"
        clock = f"[{int(passed) // 60}:{int(passed) % 60:02}, {int(left) // 60}:{int(left) % 60:02} left]"
        print(f"bench: {clock} {self.done}/{self.expected} {text}", file=sys.stderr, flush=True)
