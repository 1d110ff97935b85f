# SPDX-License-Identifier: GPL-2.0-or-later
"""The methods of this project: tlc-engine, one process a checkpoint or as a server of incremental ones."""

import json
import os
import select
import subprocess
import tempfile
import time

from bench.method import Method, Unavailable
from bench.vm import BenchError, die_with_parent

LONGEST_SAVE = 180  # seconds
START_SECONDS, RECOVERY_SECONDS, TRACKED_SECONDS = 0.5, 1, 4
MIB = 1 << 20


def peak_rss_mib(pid):
    """None when the process is gone."""
    try:
        with open(f"/proc/{pid}/status") as file:
            return next((int(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM:")), None)
    except OSError:
        return None


def columns(report):
    """The engine's own report as columns of a row."""
    row = {"engine_pause_ms": report["pause_ms"], "engine_hold_ms": report["hold_ms"],
           "engine_latency_s": report["latency_ms"] / 1000, "buffer_peak_mib": report["buffer_peak_bytes"] / MIB,
           "saved_pages": report["pages_saved"], "faults": report["faults"], "capture": report["capture"]}
    if "pages_older" in report:
        row.update(copied_pages=report["pages_copied"], older_pages=report["pages_older"])
    if report["capture"].startswith(("log", "mem")):
        row.update((name, report[name]) for name in ("working_set_pages", "table_pages", "skipped_opt1", "skipped_opt2"))
    return row


def last_words(file):
    file.seek(0)
    return file.read().decode(errors="replace").strip()[-500:]


class Engine(Method):
    """tlc-engine save."""

    def __init__(self, name, capture):
        self.name, self.capture = name, capture

    def save(self, job):
        command = [job.engine, "save", "--qmp", job.vm.engine_socket, "--out", job.directory,
                   "--buffer", str(job.buffer_mib), "--json", "--capture", self.capture]
        with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as output:
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=said,
                                     preexec_fn=die_with_parent)
            try:
                peak = self._watch(child)
            finally:
                child.kill()
                child.wait()
            if child.returncode != 0:
                raise BenchError(f"tlc-engine: exit {child.returncode}: {last_words(output)} {last_words(said)}")
            output.seek(0)
            return {**columns(json.load(output)), "engine_rss_mib": peak}

    def _watch(self, child):
        """Waits for its end; returns the most memory it was seen to use."""
        peak, end = None, time.monotonic() + LONGEST_SAVE
        while True:
            peak = peak_rss_mib(child.pid) or peak
            try:
                child.wait(0.01)
                return peak
            except subprocess.TimeoutExpired:
                if time.monotonic() > end:
                    raise BenchError(f"tlc-engine did not end within {LONGEST_SAVE} s") from None

    def restore(self, tools, vm, image):
        command = [tools.engine, "load", "--qmp", vm.engine_socket, "--from", image, "--json"]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=LONGEST_SAVE, preexec_fn=die_with_parent, check=False)
        if done.returncode != 0:
            raise BenchError(f"tlc-engine load: exit {done.returncode}: {done.stdout}{done.stderr[-500:]}")


class Server:
    """A running tlc-engine serve, which tracks the guest's writes between its checkpoints."""

    def __init__(self, job):
        self.said = tempfile.TemporaryFile()
        self.child = subprocess.Popen(
            [job.engine, "serve", "--qmp", job.vm.engine_socket, "--buffer", str(job.buffer_mib), "--capture", "cow"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.said, preexec_fn=die_with_parent)

    def request(self, directory):
        """The report of a checkpoint into a new directory."""
        os.mkdir(directory)
        try:
            self.child.stdin.write(json.dumps({"out": directory}).encode() + b"\n")
            self.child.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended, which the read tells
        if not select.select([self.child.stdout], [], [], LONGEST_SAVE)[0]:
            raise BenchError(f"tlc-engine serve did not answer within {LONGEST_SAVE} s")
        line = self.child.stdout.readline()
        if not line:
            raise BenchError(f"tlc-engine serve has ended: {last_words(self.said)}")
        report = json.loads(line)
        if "error" in report:
            raise BenchError(f"tlc-engine serve: {report['error']}")
        return report

    def close(self):
        try:
            self.child.stdin.close()
            self.child.wait(10)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self.child.kill()
            self.child.wait()
        self.child.stdout.close()
        self.said.close()


class Served(Engine):
    """The first checkpoint of a server, which has been there since the job began, as for every job."""

    def __init__(self, name):
        super().__init__(name, "cow")
        self.server = None

    def prepare(self, job):
        known = subprocess.run([job.engine, "--help"], capture_output=True, text=True, check=False)
        if "serve" not in known.stdout:
            raise Unavailable("this tlc-engine has no serve")
        self.server = Server(job)
        time.sleep(START_SECONDS)
        return {}

    def save(self, job):
        report = self.server.request(self.image(job.directory))
        return {**columns(report), "engine_rss_mib": peak_rss_mib(self.server.child.pid)}

    def close(self):
        if self.server:
            self.server.close()
        self.server = None

    def image(self, directory):
        return f"{directory}/full"


class Incremental(Served):
    """The second checkpoint of a server; the first one, which is full, only prepares it."""

    def prepare(self, job):
        super().prepare(job)
        start = time.monotonic()
        report = self.server.request(f"{job.directory}/full")
        latency = time.monotonic() - start
        time.sleep(RECOVERY_SECONDS)
        start = time.monotonic()
        time.sleep(TRACKED_SECONDS)
        times, work = job.vm.beats.update().running_between(start, time.monotonic())
        cost = 1 - job.undisturbed.running(work[0], work[-1]) / float(times[-1] - times[0])
        return {"full_image_mib": report["file_bytes"] / MIB, "full_latency_s": latency, "tracking_cost": cost}

    def save(self, job):
        row = super().save(job)
        if not row["older_pages"]:
            raise BenchError("tlc-engine serve made a full image the second time, too")
        return row

    def image(self, directory):
        return f"{directory}/incremental"
