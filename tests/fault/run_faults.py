#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""run_faults.py PROGRAMS TEST [GROUP]: a fault test (README.md; a name of cases.TESTS), or of that the groups of
cases whose name begins so.

Prints how many cases ran, and of those that failed the first ones. Exit 1 if any did. The long tests run a share
of their cases, another one each day; with TLC_FAULT_SHARE=1 in the environment all of them.
"""

import collections
import multiprocessing
import os
import pathlib
import signal
import sys
import time
import xml.etree.ElementTree as xml

import cases
from programs import Checker, Place, Programs

SHOWN = 10
SHARES = {"chains_errors": 4, "chains_power_cut": 4, "carry_errors": 8, "carry_power_cut": 8}  # one case of so many
worker = None


class Worker:
    """What a process that runs cases has for itself."""

    def __init__(self, directory, test):
        self.sequence = cases.TESTS[test][1]
        programs = Programs(directory, self.sequence.two_levels, self.sequence.chains)
        self.programs = programs
        self.place = Place()
        self.checker = Checker(programs)

    def end(self):
        self.checker.end()
        self.place.remove()


def start_worker(directory, test):
    global worker
    worker = Worker(directory, test)
    multiprocessing.util.Finalize(worker, worker.end, exitpriority=100)


def run_one(job):
    """Returns the group of the cases, how many they were, and what was wrong."""
    group, function, arguments = job
    try:
        ran, wrong = getattr(cases, function)(worker, *arguments)
    except Exception as error:  # a case that cannot be run has failed
        ran, wrong = 1, [f"{function}{arguments}: {type(error).__name__}: {error}"]
    return group, ran, wrong


def write_results(name, ran, wrong):
    directory = os.environ.get("TLC_RESULTS")
    if not directory:
        return
    suite = xml.Element("testsuite", name=name)
    for group in ran:
        case = xml.SubElement(suite, "testcase", classname=name, name=f"{group} ({ran[group]} cases)")
        if wrong[group]:
            xml.SubElement(case, "failure", message=wrong[group][0])
    xml.ElementTree(suite).write(pathlib.Path(directory) / f"{name}.xml")


def main():
    if not 3 <= len(sys.argv) <= 4 or sys.argv[2] not in cases.TESTS:
        print(__doc__, file=sys.stderr)
        return 2
    # Whoever ends us, or the pool its workers: the directories are removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    directory, test, group_wanted = (sys.argv + [""])[1:4]
    began = time.monotonic()
    own = Worker(directory, test)
    try:
        jobs = [job for job in cases.TESTS[test][0](own) if job[0].startswith(group_wanted)]
    finally:
        own.end()
    share = int(os.environ.get("TLC_FAULT_SHARE") or SHARES.get(test, 1))
    if share > 1:
        print(f"{test}: every {share}th of {len(jobs)} jobs; all with TLC_FAULT_SHARE=1")
        jobs = jobs[time.localtime().tm_yday % share::share]
    ran, wrong = collections.Counter(), collections.defaultdict(list)
    count = len(os.sched_getaffinity(0))
    with multiprocessing.Pool(count, start_worker, [directory, test]) as pool:
        for group, number, failures in pool.imap_unordered(run_one, jobs, chunksize=1):
            ran[group] += number
            wrong[group] += failures
        pool.close()
        pool.join()
    failures = [f"{group}: {text}" for group in ran for text in wrong[group]]
    for group in ran:
        print(f"{test}: {group}: {ran[group]} cases, {len(wrong[group])} failed")
    for text in failures[:SHOWN]:
        print(f"  {text}")
    if len(failures) > SHOWN:
        print(f"  and {len(failures) - SHOWN} more")
    print(f"{test}: {sum(ran.values())} cases, {len(failures)} failed, {time.monotonic() - began:.0f} s")
    write_results(f"fault.{test}", ran, wrong)
    return 1 if failures or not ran else 0


sys.exit(main())
