# SPDX-License-Identifier: GPL-2.0-or-later
"""What it costs the guest between two checkpoints that the engine knows what is written.

In turns, in one VM: a stretch without an engine, and one of the same length after a checkpoint, whose first write to
each stretch of memory faults. Each is compared with the two of the other kind beside it, so that a host that changes
its speed slowly does not matter. The longer the interval between checkpoints the less it costs: every stretch faults once.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import time

from bench.engine import RECOVERY_SECONDS, Server
from bench.method import Job
from bench.session import reference
from bench.vm import BenchError, Shape, Tools, Vm

WORKLOADS = ("mg", "is", "ft", "random-writer")


def stretch(vm, pace, seconds):
    """How many times as long as undisturbed the guest's work took."""
    start = time.monotonic()
    time.sleep(seconds)
    times, work = vm.beats.update().running_between(start, time.monotonic())
    vm.check()
    return float(times[-1] - times[0]) / pace.running(work[0], work[-1])


def tracked(job, seconds):
    shutil.rmtree(job.directory, ignore_errors=True)
    os.mkdir(job.directory)
    server = Server(job)
    try:
        server.request(f"{job.directory}/full")
        time.sleep(RECOVERY_SECONDS)
        return stretch(job.vm, job.undisturbed, seconds)
    finally:
        server.close()
        time.sleep(RECOVERY_SECONDS)


def measure(tools, workload, directory, pairs, seconds):
    with Vm(tools, Shape(workload, 1, 1024)) as vm:
        pace, start, end = reference(vm)
        beats = vm.beats.update()
        pace.learn(*beats.running_between(start, end), beats.waited_between(start, end))
        job = Job(vm, directory, tools.engine, 64, 0, pace, None)
        plain, costs = [stretch(vm, pace, seconds)], []
        for _ in range(pairs):
            took = tracked(job, seconds)
            plain.append(stretch(vm, pace, seconds))
            costs.append(2 * took / (plain[-2] + plain[-1]) - 1)
        # The same estimate of nothing: each plain stretch against its neighbours.
        noise = [2 * b / (a + c) - 1 for a, b, c in zip(plain, plain[1:], plain[2:])]
    return {"workload": workload, "seconds": seconds, "costs": costs, "noise": noise}


def error(values):
    """Of their mean."""
    return statistics.stdev(values) / len(values) ** 0.5


def table(rows):
    lines = ["| workload | speed lost, % | standard error | the same estimate of nothing, % | standard error | stretches |",
             "|---|---|---|---|---|---|"]
    for row in rows:
        cells = []
        for name in ("costs", "noise"):
            cells += [f"{100 * statistics.mean(row[name]):.1f}", f"{100 * error(row[name]):.1f}"]
        lines.append(f"| {row['workload']} | " + " | ".join(cells) + f" | {len(row['costs'])} of {row['seconds']:g} s |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(prog="tests/bench/run tracking",
                                     description="Measures what knowing the guest's writes costs it.")
    parser.add_argument("--out", required=True, metavar="DIR")
    parser.add_argument("--workload", action="append", choices=WORKLOADS)
    parser.add_argument("--pairs", type=int, default=12, metavar="N")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.pairs < 3 or chosen.seconds < 1:
        parser.error("--pairs must be at least 3, --seconds at least 1")
    if chosen.check:
        return
    made = os.path.join(os.environ["TLC_CACHE"], "bench")
    tools = Tools(os.environ["TLC_QEMU"], os.environ["TLC_KERNEL"], f"{made}/initramfs.cpio", f"{made}/recorder",
                  os.path.join(os.environ["TLC_BUILD"], "bin/tlc-engine"))
    os.makedirs(chosen.out, exist_ok=True)
    image = os.path.join(os.path.abspath(chosen.out), "image")
    rows = []
    try:
        for workload in chosen.workload or WORKLOADS:
            rows.append(measure(tools, workload, image, chosen.pairs, chosen.seconds))
            print("bench:", rows[-1], file=sys.stderr)
    finally:
        shutil.rmtree(image, ignore_errors=True)
    with open(os.path.join(chosen.out, "tracking.json"), "w") as file:
        json.dump(rows, file, indent=1)
    with open(os.path.join(chosen.out, "tracking.md"), "w") as file:
        file.write(table(rows))
    print(table(rows))


if __name__ == "__main__":
    try:
        main()
    except BenchError as problem:
        sys.exit(f"bench: {problem}")
