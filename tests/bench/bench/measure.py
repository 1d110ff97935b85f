# SPDX-License-Identifier: GPL-2.0-or-later
"""One measurement: a checkpoint by one method, what the guest lost by it, and whether the image can be restored."""

import os
import shutil
import time

from bench.heartbeat import longest_gap
from bench.huge_pages import huge_mib
from bench.method import DidNotConverge, Unavailable
from bench.processors import Processors
from bench.vm import BenchError, PeerError, Vm

SETTLE = 1.5  # seconds after a checkpoint that still count as its effect
QUIET = 1.0   # undisturbed seconds before each
VERIFY = 10   # seconds after which a restored guest need not have ended a whole round
FOREIGN = 0.3      # processors that others may use before a measurement
LONGEST_WAIT = 5   # seconds for them to become quiet


def stored_mib(directory):
    """What its files take on the disk: neither holes count, nor links to files of an older image."""
    files = [os.stat(os.path.join(folder, name)) for folder, _, names in os.walk(directory) for name in names]
    return sum(file.st_blocks * 512 for file in files if file.st_nlink == 1) / (1 << 20)


def learn(job, traffic, start, end):
    """The guest ran undisturbed from start to end."""
    beats = job.vm.beats.update()
    job.undisturbed.learn(*beats.running_between(start, end), beats.waited_between(start, end))
    if traffic:
        traffic.learn(start, end)


def quiet_stretch(job, traffic):
    """Waits, not for ever, until others leave the machine alone, and learns how fast the guest is then."""
    give_up = time.monotonic() + LONGEST_WAIT
    while True:
        start, processors = time.monotonic(), Processors()
        time.sleep(QUIET)
        if processors.foreign() < FOREIGN or time.monotonic() > give_up:
            return learn(job, traffic, start, time.monotonic())


def measure(job, method, traffic):
    """Columns of a row. The job's directory is emptied first and holds the image afterwards."""
    shutil.rmtree(job.directory, ignore_errors=True)
    os.makedirs(job.directory)
    os.sync()
    job.huge_pages.collapse()
    quiet_stretch(job, traffic)
    processors = Processors()
    row = {"status": "ok", "huge_mib": huge_mib(job.vm.pid)}
    try:
        row.update(method.prepare(job))
        _save(job, method, traffic, row)
        if method.name != "none":
            row["image_mib"] = stored_mib(method.image(job.directory))
    except Unavailable as error:
        row.update(status="unavailable", error=str(error))
    except DidNotConverge as error:
        row.update(status="did-not-converge", error=str(error))
    except (BenchError, PeerError, OSError, ValueError, KeyError) as error:
        row.update(status="failed", error=f"{type(error).__name__}: {error}")
    finally:
        method.close()
    row["foreign_cpus"] = processors.foreign()
    job.vm.check()
    return row


def _save(job, method, traffic, row):
    start = time.monotonic()
    try:
        row.update(method.save(job))
        row["latency_s"] = time.monotonic() - start
    finally:
        end = time.monotonic()
        time.sleep(SETTLE)
        job.vm.check()
        times, _ = job.vm.beats.between(start, end)
        row["pause_ms"] = longest_gap(times) * 1000
        times, work = job.vm.beats.between(start, end + SETTLE)
        row["huge_after_mib"] = huge_mib(job.vm.pid)
        row["waited_s"] = job.vm.beats.waited_between(start, end + SETTLE)
        row["exec_s"] = float(times[-1] - times[0])
        row["overhead_s"] = row["exec_s"] - job.undisturbed.between(work[0], work[-1])
        if traffic:
            row.update(traffic.during(start, end, end + SETTLE))


def verify(tools, job, method):
    """Restores the image in a fresh QEMU while the first VM stands still, and lets the guest check itself for at
    least one whole round. Columns of a row."""
    job.vm.stop()
    try:
        with Vm(tools, job.vm.shape, restore=True) as restored:
            method.restore(tools, restored, method.image(job.directory))
            restored.cont()
            restored.wait(lambda beats: len(beats.times) > 0, 20, "a heartbeat after the restore")
            beats, end = restored.beats, time.monotonic() + VERIFY
            restored.wait(lambda _: len(beats.rounds) > 1 or time.monotonic() > end, 2 * VERIFY, "a whole round")
            # The other end of a network connection is not in the image: there the heartbeat has to do.
            alive = beats.work[-1] > beats.work[0] or restored.shape.network
            return {"verified": bool(alive), "verified_rounds": max(len(beats.rounds) - 1, 0)}
    except (BenchError, PeerError, OSError) as error:
        return {"verified": False, "verify_error": str(error)}
    finally:
        job.vm.cont()
