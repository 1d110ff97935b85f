# SPDX-License-Identifier: GPL-2.0-or-later
"""Follows a job from outside: when each line of its output came, what its log says, which checkpoints were published."""

import json
import re
import threading
import time
from dataclasses import dataclass
from datetime import datetime, timezone

EVERY = 0.2  # seconds between two looks


@dataclass
class Checkpoint:
    sequence: int
    epoch: int
    taken: float         # seconds since 1970
    stdout_bytes: int    # of the output, what is in it
    latency: float       # seconds
    pause: float         # seconds


@dataclass
class Life:
    """From a boot or a restore to the next one."""

    epoch: int
    node: str
    began: float
    restored: int | None = None  # checkpoint; None: it began anew


def seconds_of(text):
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc).timestamp()


class Watch(threading.Thread):
    """Reads only. To be stopped with stop(); all it has found may be read at any time."""

    def __init__(self, output, directory):
        super().__init__(daemon=True)
        self.output, self.directory = output, directory
        self.lives, self.checkpoints, self.log = [], [], []
        self.samples = []  # (time, lines of the output), each time it has changed
        self.node, self.error = "", None
        self.known, self.log_read, self.over = set(), 0, threading.Event()

    def stop(self):
        self.over.set()
        self.join()
        self.look()

    def run(self):
        while not self.over.wait(EVERY):
            try:
                self.look()
            except (OSError, ValueError, KeyError) as error:
                self.error = error

    def look(self):
        self.read_log()
        self.read_manifests()
        self.read_output()

    def read_log(self):
        try:
            with open(self.directory / "tlc.log", "rb") as file:
                file.seek(self.log_read)
                text = file.read()
        except FileNotFoundError:
            return
        whole = text[:text.rfind(b"\n") + 1]
        self.log_read += len(whole)
        for line in whole.decode().splitlines():
            self.log.append(line)
            when, _, message = line.split(" ", 2)
            values = dict(re.findall(r"([a-z_]+)=(\S+)", message))
            if message.startswith("job="):
                self.node = values["node"]
            elif message.startswith(("booted ", "restored ")):
                restored = int(values["checkpoint"]) if "checkpoint" in values else None
                self.lives.append(Life(int(values["epoch"]), self.node, seconds_of(when), restored))

    def read_manifests(self):
        for path in sorted(self.directory.glob("0*/manifest.json")):
            try:
                identity = (path.parent.name, path.stat().st_ino)
                if identity in self.known:
                    continue
                manifest = json.loads(path.read_text())
            except FileNotFoundError:
                continue
            self.known.add(identity)
            timings = manifest["timings"]
            self.checkpoints.append(Checkpoint(manifest["sequence"], manifest["epoch"], seconds_of(manifest["created"]),
                                               manifest["console"]["stdout"], timings["latency_ms"] / 1000,
                                               timings["pause_ms"] / 1000))

    def read_output(self):
        try:
            count = self.output.read_bytes().count(b"\n")
        except FileNotFoundError:
            return
        if not self.samples or self.samples[-1][1] != count:
            self.samples.append((time.time(), count))

    # What may be asked meanwhile.
    def published(self):
        return len(self.checkpoints)

    def printed(self):
        return self.samples[-1][1] if self.samples else 0

    def says(self, text, after=0):
        return any(text in line for line in self.log[after:])
