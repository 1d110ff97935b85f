# SPDX-License-Identifier: GPL-2.0-or-later
"""The kinds of interruptions. Each is a function of a Scene; it returns when all is repaired."""

import os
import pathlib
import random
import signal
import subprocess
import time
from dataclasses import dataclass

from bench.soak.site import Site, SiteError
from bench.soak.watch import Watch

PATIENCE = 180  # seconds for what follows by itself


@dataclass
class Scene:
    site: Site
    watch: Watch
    job: str
    random: random.Random

    def wait(self, what, condition, patience=PATIENCE):
        end = time.monotonic() + patience
        while not condition():
            if self.watch.error:
                raise SiteError(f"the job cannot be followed: {type(self.watch.error).__name__}: {self.watch.error}")
            if time.monotonic() > end:
                raise SiteError(f"{what}: not within {patience} s")
            time.sleep(0.1)

    def pause(self, least, most):
        time.sleep(self.random.uniform(least, most))

    def field(self, name):
        text = self.site.run(["scontrol", "-o", "show", "job", self.job])
        return next((word.split("=", 1)[1] for word in text.split() if word.startswith(name + "=")), "")

    def node(self):
        return self.field("NodeList")

    def lives(self):
        return len(self.watch.lives)

    def another_life(self, before):
        self.wait("another life of the job", lambda: self.lives() > before)

    def qemu(self):
        """The pid of the job's QEMU in its present life."""
        live = f"/live-{self.watch.lives[-1].epoch}/"
        for name in os.listdir("/proc"):
            if name.isdigit():
                try:
                    command = pathlib.Path(f"/proc/{name}/cmdline").read_bytes()
                except OSError:
                    continue
                if b"qemu-system" in command and str(self.site.checkpoints).encode() in command and live.encode() in command:
                    return int(name)
        raise SiteError("the job's QEMU is not there")

    def engine(self):
        parent = pathlib.Path(f"/proc/{self.qemu()}/stat").read_text().rsplit(")", 1)[1].split()[1]
        found = subprocess.run(["pgrep", "-P", parent, "-x", "tlc-engine"], capture_output=True, text=True, check=False).stdout.split()
        if not found:
            raise SiteError("the job has no checkpoint engine at this moment")
        return int(found[0])


def node_dies(scene):
    node, before = scene.node(), scene.lives()
    scene.site.cluster("power-off", node)
    scene.another_life(before)
    scene.site.cluster("power-on", node)


def node_reboots(scene):
    node, before = scene.node(), scene.lives()
    scene.site.cluster("power-off", node)
    scene.pause(1, 4)
    scene.site.cluster("power-on", node)
    scene.another_life(before)


def cut_off(scene):
    node, before = scene.node(), scene.lives()
    scene.site.cluster("cut", node)
    scene.another_life(before)
    scene.pause(0, 5)
    scene.site.cluster("heal", node)


def cut_for_a_moment(scene):
    node = scene.node()
    scene.site.cluster("cut", node)
    scene.pause(2, 8)
    scene.site.cluster("heal", node)


def set_down_while_cut_off(scene):
    node, before = scene.node(), scene.lives()
    scene.site.cluster("cut", node)
    scene.site.cluster("down", node)
    scene.another_life(before)
    scene.site.cluster("heal", node)
    scene.site.run(["scontrol", "update", f"nodename={node}", "state=resume"])


def slurmd_dies(scene):
    node, before = scene.node(), scene.lives()
    scene.site.cluster("slurmd-off", node)
    scene.another_life(before)
    scene.site.cluster("slurmd-on", node)


def slurmd_restarts(scene):
    node = scene.node()
    scene.site.cluster("slurmd-off", node)
    scene.pause(0.5, 3)
    scene.site.cluster("slurmd-on", node)


def slurmctld_restarts(scene):
    scene.site.cluster("controller-off")
    scene.pause(1, 9)
    scene.site.cluster("controller-on")


def requeue(scene):
    before = scene.lives()
    scene.site.as_user(["scontrol", "requeue", scene.job])
    scene.another_life(before)


def hold_and_release(scene):
    before = scene.lives()
    scene.site.as_user(["scontrol", "requeuehold", scene.job])
    scene.wait("the job is held", lambda: scene.field("JobState") == "PENDING")
    scene.pause(1, 5)
    scene.site.as_user(["scontrol", "release", scene.job])
    scene.another_life(before)


def suspend(scene):
    scene.site.run(["scontrol", "suspend", scene.job])
    scene.pause(1, 9)
    scene.site.run(["scontrol", "resume", scene.job])


def preempted(scene):
    before = scene.lives()
    high = scene.site.as_user(["sbatch", "--parsable", "--output=/dev/null", "--mem=500M", "--partition=high", "--nodes=3", "--exclusive",
                               "--wrap=sleep 2"]).strip()
    scene.wait("the job that preempts", lambda: "JobState=COMPLETED" in scene.site.run(["scontrol", "-o", "show", "job", high]))
    scene.another_life(before)


def time_limit(scene):
    before = scene.lives()
    # Slurm counts in minutes and looks every half minute.
    scene.site.run(["scontrol", "update", f"jobid={scene.job}", f"TimeLimit={int(elapsed_minutes(scene)) + 1}"])
    scene.another_life(before)
    scene.site.run(["scontrol", "update", f"jobid={scene.job}", "TimeLimit=UNLIMITED"])


def elapsed_minutes(scene):
    seconds = 0
    days, _, clock = scene.field("RunTime").rpartition("-")
    for part in clock.split(":"):
        seconds = seconds * 60 + int(part)
    return (seconds + 86400 * int(days or 0)) / 60


def drained(scene):
    node = scene.node()
    scene.site.run(["scontrol", "update", f"nodename={node}", "state=drain", "reason=soak"])
    scene.pause(1, 9)
    scene.site.run(["scontrol", "update", f"nodename={node}", "state=resume"])


def qemu_dies(scene):
    before = scene.lives()
    os.kill(scene.qemu(), signal.SIGKILL)
    scene.another_life(before)


def engine_dies(scene):
    os.kill(scene.engine(), signal.SIGKILL)


def storage_hangs(scene):
    scene.site.run(["fsfreeze", "-f", scene.site.checkpoints])
    try:
        scene.pause(1, 9)
    finally:
        scene.site.run(["fsfreeze", "-u", scene.site.checkpoints])


def storage_full(scene):
    ballast = scene.site.checkpoints / "ballast"
    state = os.statvfs(scene.site.checkpoints)
    # Room for the job's output and the log.
    scene.site.run(["fallocate", "-l", max(1 << 20, state.f_bavail * state.f_frsize - (24 << 20)), ballast])
    try:
        scene.pause(5, 20)
    finally:
        ballast.unlink()


KINDS = {function.__name__: function for function in (
    node_dies, node_reboots, cut_off, cut_for_a_moment, set_down_while_cut_off, slurmd_dies, slurmd_restarts, slurmctld_restarts, requeue,
    hold_and_release, suspend, preempted, time_limit, drained, qemu_dies, engine_dies, storage_hangs, storage_full)}
