# SPDX-License-Identifier: GPL-2.0-or-later
"""One boot of one workload: a stretch undisturbed, then every method, one after the other."""

import contextlib
import random
import time
from dataclasses import dataclass

from bench.heartbeat import Undisturbed
from bench.huge_pages import HugePages
from bench.measure import FOREIGN, learn, measure, verify
from bench.method import Job
from bench.processors import Processors
from bench.vm import BenchError, PeerError, Vm

WARM_UP = 3         # seconds from the first heartbeat: the guest's clock has settled by then
REFERENCE = 3       # seconds undisturbed at least, and at least a whole round
LONGEST_ROUND = 60  # seconds; also for the set-up before the first round
LONGEST_WAIT = 30   # seconds for others to leave the machine alone


@dataclass(frozen=True)
class Plan:
    """What is measured in one boot."""

    suite: str
    shape: object
    run: int
    methods: tuple
    verify: bool


@dataclass(frozen=True)
class Settings:
    """What is the same for all."""

    tools: object
    directory: str
    buffer_mib: int


def in_order_of(plan):
    """The methods in an order of this run's own: what one leaves behind in the VM must not meet the same one always."""
    order = list(plan.methods)
    random.Random(f"{plan.shape} {plan.run}").shuffle(order)
    return order


def reference(vm):
    """The guest's own pace, nothing known yet, and a stretch of at least a whole round from which to learn it."""
    vm.wait(lambda beats: len(beats.rounds) > 0, LONGEST_ROUND, "the first round")
    vm.wait(lambda beats: beats.times[-1] > beats.times[0] + WARM_UP, LONGEST_ROUND, "a heartbeat")
    give_up = time.monotonic() + LONGEST_WAIT
    while True:
        start, processors = time.monotonic(), Processors()
        vm.wait(lambda beats: beats.times[-1] > start + REFERENCE, LONGEST_ROUND, "a heartbeat")
        vm.wait(lambda beats: len(beats.rounds) > 1, LONGEST_ROUND, "the second round")
        pace = Undisturbed(vm.beats.rounds[0], vm.beats.rounds[1] - vm.beats.rounds[0])
        vm.wait(lambda beats: beats.work_since(start) > pace.round + 2 * pace.step, LONGEST_ROUND, "another round")
        if processors.foreign() < FOREIGN or time.monotonic() > give_up:
            return pace, start, vm.beats.times[-1]


def run_session(settings, plan, patience, tell):
    """Calls tell(row) after each measurement. patience is for migrations that do not converge, in seconds."""
    waiting = in_order_of(plan)
    what = {"suite": plan.suite, "workload": plan.shape.workload, "run": plan.run, "vcpus": plan.shape.vcpus,
            "ram_mib": plan.shape.ram_mib, "buffer_mib": settings.buffer_mib}
    try:
        with contextlib.ExitStack() as stack:
            traffic = None
            if plan.shape.network:
                from bench.traffic import Traffic
                traffic = stack.enter_context(Traffic())
            vm = stack.enter_context(Vm(settings.tools, plan.shape, traffic and traffic.port))
            pace, start, end = reference(vm)
            job = Job(vm, settings.directory, settings.tools.engine, settings.buffer_mib, patience, pace,
                      HugePages(vm.pid))
            learn(job, traffic, start, end)
            while waiting:
                method = waiting[0]
                row = measure(job, method, traffic)
                if plan.verify and row["status"] == "ok" and method.name != "none":
                    row.update(verify(settings.tools, job, method))
                waiting.pop(0)
                tell({**what, "method": method.name, **row})
    except (BenchError, PeerError, OSError) as error:
        # The VM is of no use any more: the rest of this boot has failed.
        for method in waiting:
            tell({**what, "method": method.name, "status": "failed", "error": f"{type(error).__name__}: {error}"})
