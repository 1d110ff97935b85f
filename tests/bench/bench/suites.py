# SPDX-License-Identifier: GPL-2.0-or-later
"""What is measured: workloads, methods, sizes of the VM."""

from bench import methods
from bench.session import Plan
from bench.vm import Shape

WORKLOADS = ("ep", "mg", "is", "ft", "random-writer", "partial-dense", "partial-sparse", "idle", "touched", "iperf3")
METHODS = tuple(methods.ALL)
NETWORK_METHODS = ("none", "stop-save", "background-snapshot", "cow", "cow-incremental")
QUICK_METHODS = ("none", "stop-save", "background-snapshot", "log-nonstop", "cow")
SMP_METHODS = ("none", "stop-save", "background-snapshot", "cow")


def _paper(chosen):
    """The paper's figures and more: every workload with every method."""
    workloads = ("random-writer", "idle") if chosen.quick else tuple(w for w in WORKLOADS if w != "touched")
    for workload in chosen.workload or workloads:
        usual = NETWORK_METHODS if workload == "iperf3" else METHODS
        yield Shape(workload, chosen.vcpus or 1, chosen.ram or 1024), QUICK_METHODS if chosen.quick else usual


def _ram(chosen):
    """Does the pause grow with the VM's memory?"""
    for ram in [chosen.ram] if chosen.ram else (1024, 2048, 4096, 8192):
        for workload in chosen.workload or ("touched",):
            yield Shape(workload, chosen.vcpus or 1, ram), ("none", "cow")


def _smp(chosen):
    """Do several processors change the picture?"""
    for vcpus in [chosen.vcpus] if chosen.vcpus else (2, 4):
        for workload in chosen.workload or ("mg", "random-writer"):
            yield Shape(workload, vcpus, chosen.ram or 1024), SMP_METHODS


SUITES = {"paper": _paper, "ram": _ram, "smp": _smp}


def plans(chosen):
    """All boots; runs outside, so that an interrupted benchmark has something of everything."""
    runs = chosen.runs or (1 if chosen.quick else 5)
    found = []
    for run in range(1, runs + 1):
        verify = chosen.verify == "all" or (chosen.verify == "first" and run == 1)
        for shape, usual in SUITES[chosen.suite](chosen):
            names = chosen.method or usual
            found.append(Plan(chosen.suite, shape, run, tuple(methods.ALL[name] for name in names), verify))
    return found
