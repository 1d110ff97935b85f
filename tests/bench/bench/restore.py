# SPDX-License-Identifier: GPL-2.0-or-later
"""How soon a restored VM runs, has all its memory, and is as fast as it was: lazily and eagerly, by its memory."""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time

from bench.engine import Engine
from bench.method import Job
from bench.vm import BenchError, Shape, Tools, Vm, die_with_parent

WORKLOAD = "touched"  # nearly all memory in use
LONGEST = 600         # seconds
WINDOW = 0.25         # seconds over which speed is looked at
FULL_SPEED = 0.95     # of the undisturbed speed counts as it
COLUMNS = ("command_to_beat_s", "running_s", "complete_s", "full_speed_s")


def drop_cache(directory):
    """The image comes from the disk, not from memory, for both ways alike."""
    for folder, _, names in os.walk(directory):
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def speed(vm, start, end):
    times, work = vm.beats.update().between(start, end)
    return (work[-1] - work[0]) / (times[-1] - times[0])


def save(tools, shape, directory):
    """An image of the running workload, and its undisturbed speed."""
    with Vm(tools, shape) as vm:
        vm.wait(lambda beats: len(beats.rounds) > 1, LONGEST, "the second round")
        start = time.monotonic()
        time.sleep(3)
        usual = speed(vm, start, time.monotonic())
        Engine("cow", "cow").save(Job(vm, directory, tools.engine, 64, 0, None, None))
        return usual


def restore(tools, shape, directory, usual, eager):
    drop_cache(directory)
    with Vm(tools, shape, restore=True) as vm:
        command = [tools.engine, "load", "--qmp", vm.engine_socket, "--from", directory, "--json"]
        start = time.monotonic()
        done = subprocess.run(command + (["--eager"] if eager else []), stdin=subprocess.DEVNULL, text=True,
                              capture_output=True, timeout=LONGEST, preexec_fn=die_with_parent, check=False)
        if done.returncode != 0:
            raise BenchError(f"tlc-engine load: {done.stdout}{done.stderr}")
        report = json.loads(done.stdout.splitlines()[-1])
        vm.wait(lambda beats: len(beats.times) > 0, LONGEST, "a heartbeat after the restore")
        first = vm.beats.times[0] - start
        full = None
        end = start + first
        while full is None:
            if end - start > LONGEST:
                raise BenchError("the restored workload does not become as fast as it was")
            vm.wait(lambda beats: beats.times[-1] > end + WINDOW, LONGEST, "a heartbeat")  # pylint: disable=cell-var-from-loop
            if speed(vm, end, end + WINDOW) >= FULL_SPEED * usual:
                full = end + WINDOW - start
            end += WINDOW / 5
        return {"way": "eager" if eager else "lazy", "ram_mib": shape.ram_mib, "command_to_beat_s": first,
                "running_s": report["running_ms"] / 1000, "complete_s": report["latency_ms"] / 1000,
                "full_speed_s": full, "faults": report["faults"]}


def table(rows):
    lines = ["| GiB | way | first heartbeat, s | runs, s | memory complete, s | full speed, s |", "|---|---|---|---|---|---|"]
    for ram in sorted({row["ram_mib"] for row in rows}):
        for way in ("lazy", "eager"):
            found = [row for row in rows if row["ram_mib"] == ram and row["way"] == way]
            cells = []
            for column in COLUMNS:
                values = [row[column] for row in found]
                cells.append(f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})" if values else "")
            lines.append(f"| {ram / 1024:g} | {way} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(prog="tests/bench/run restore", description="Measures restores of a VM.")
    parser.add_argument("--out", required=True, metavar="DIR")
    parser.add_argument("--ram", type=int, action="append", metavar="MiB", help="default: 1024, 2048, 4096, 8192")
    parser.add_argument("--runs", type=int, default=5, metavar="N")
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.runs < 1 or any(ram < 256 for ram in chosen.ram or ()):
        parser.error("--runs must be at least 1, --ram at least 256")
    if chosen.check:
        return
    made = os.path.join(os.environ["TLC_CACHE"], "bench")
    tools = Tools(os.environ["TLC_QEMU"], os.environ["TLC_KERNEL"], f"{made}/initramfs.cpio", f"{made}/recorder",
                  os.path.join(os.environ["TLC_BUILD"], "bin/tlc-engine"))
    os.makedirs(chosen.out, exist_ok=True)
    image = os.path.join(os.path.abspath(chosen.out), "image")
    rows = []
    for ram in chosen.ram or (1024, 2048, 4096, 8192):
        shape = Shape(WORKLOAD, 1, ram)
        shutil.rmtree(image, ignore_errors=True)
        os.mkdir(image)
        try:
            usual = save(tools, shape, image)
            for run in range(chosen.runs):
                for eager in (run % 2 == 0, run % 2 != 0):
                    rows.append(restore(tools, shape, image, usual, eager))
                    print("bench:", rows[-1], file=sys.stderr)
        finally:
            shutil.rmtree(image, ignore_errors=True)
        with open(os.path.join(chosen.out, "restore.json"), "w") as file:
            json.dump(rows, file, indent=1)
        with open(os.path.join(chosen.out, "restore.md"), "w") as file:
            file.write(table(rows))
    print(table(rows))


if __name__ == "__main__":
    try:
        main()
    except BenchError as error:
        sys.exit(f"bench: {error}")
