# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line: what is measured, and in which order."""

import argparse
import os
import shutil
import signal
import sys

from bench import suites
from bench.results import Results
from bench.session import Settings, run_session
from bench.vm import BenchError, Tools

PATIENCE, SHORT_PATIENCE = 30, 10


def options():
    parser = argparse.ArgumentParser(prog="tests/bench/run", description="Measures checkpoints of a running VM.")
    parser.add_argument("--out", metavar="DIR", help="where results go, and the images while they are measured")
    parser.add_argument("--report", metavar="DIR", help="only write results.md and the plots again, from results.json")
    parser.add_argument("--suite", choices=sorted(suites.SUITES), default="paper",
                        help="which set of measurements (default: paper)")
    parser.add_argument("--quick", action="store_true", help="few workloads and methods, one run")
    parser.add_argument("--workload", action="append", choices=suites.WORKLOADS, metavar="W",
                        help="only this one (may be given again): " + ", ".join(suites.WORKLOADS))
    parser.add_argument("--method", action="append", choices=suites.METHODS, metavar="M",
                        help="only this one (may be given again): " + ", ".join(suites.METHODS))
    parser.add_argument("--runs", type=int, metavar="N", help="boots of each workload (default: 5)")
    parser.add_argument("--vcpus", type=int, metavar="N", help="virtual processors, and threads of the workload")
    parser.add_argument("--ram", type=int, metavar="MiB", help="memory of the VM")
    parser.add_argument("--buffer", type=int, default=64, metavar="MiB", help="buffer of tlc-engine (default: 64)")
    parser.add_argument("--verify", nargs="?", choices=("all", "first", "none"), const="all", default="first",
                        help="restore the images of all runs, the first one, or none (default: first)")
    parser.add_argument("--engine", metavar="PATH", help="the tlc-engine to measure (default: the one just built)")
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if bool(chosen.out) == bool(chosen.report):
        parser.error("give either --out DIR or --report DIR")
    for name in ("runs", "vcpus", "ram", "buffer"):
        if getattr(chosen, name) is not None and getattr(chosen, name) < 1:
            parser.error(f"--{name} must be at least 1")
    return chosen


def tools(chosen):
    made = os.path.join(os.environ["TLC_CACHE"], "bench")
    engine = chosen.engine or os.path.join(os.environ["TLC_BUILD"], "bin/tlc-engine")
    if not os.access(engine, os.X_OK):
        raise BenchError(f"{engine} is no program; name a tlc-engine with --engine")
    return Tools(os.environ["TLC_QEMU"], os.environ["TLC_KERNEL"], f"{made}/initramfs.cpio", f"{made}/recorder", engine)


def measure_all(chosen, results):
    plans = suites.plans(chosen)
    images = os.path.join(os.path.abspath(chosen.out), "images")
    settings = Settings(tools(chosen), images, chosen.buffer)
    results.expect(sum(len(plan.methods) for plan in plans))
    try:
        for plan in plans:
            hopeless = results.any(workload=plan.shape.workload, vcpus=plan.shape.vcpus, ram_mib=plan.shape.ram_mib,
                                   status="did-not-converge")
            run_session(settings, plan, SHORT_PATIENCE if hopeless else PATIENCE, results.add)
    finally:
        shutil.rmtree(images, ignore_errors=True)


def main():
    chosen = options()
    if chosen.check:
        return 0
    # Both end it in order, also where the shell has it ignore the first.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    interrupted = False
    try:
        results = Results(chosen.report or chosen.out, chosen)
        if chosen.out:
            try:
                measure_all(chosen, results)
            except KeyboardInterrupt:
                interrupted = True
        # Only now: while something is measured this program should be small.
        from bench import plots, report
        report.write(results)
        plots.write(results)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    failed = [row for row in results.rows if row["status"] == "failed" or row.get("verified") is False]
    print(f"bench: {len(results.rows)} rows in {results.directory}, {len(failed)} failed"
          f"{'; interrupted' if interrupted else ''}", file=sys.stderr)
    return 130 if interrupted else 1 if failed else 0


sys.exit(main())
