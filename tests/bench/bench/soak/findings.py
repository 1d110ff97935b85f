# SPDX-License-Identifier: GPL-2.0-or-later
"""What became of the job: the work each interruption has cost, and whether anything went wrong.

Work is counted in lines of the job's output. A life that was restored begins with the line at which its checkpoint was taken,
known by how many bytes of the output the checkpoint holds; what the life before had printed beyond is computed once more.
"""

import statistics
from dataclasses import dataclass

from bench.soak.job import wrong_output

NEAR = 5  # lines within which an output just restored is seen


@dataclass
class Stretch:
    """A life, as the output shows it."""

    node: str
    epoch: int
    began: float
    ended: float  # its last line
    first: int    # lines it began with
    last: int     # lines it came to


def stretches(watch, text):
    """Of each life, in order."""
    known = {(c.sequence): c for c in watch.checkpoints}
    found, at = [], 0
    for number, life in enumerate(watch.lives):
        bytes_there = known[life.restored].stdout_bytes if life.restored else 0
        first = text.encode()[:bytes_there].count(b"\n")
        while at < len(watch.samples) and not (watch.samples[at][0] >= life.began and watch.samples[at][1] <= first + NEAR):
            at += 1
        until = watch.lives[number + 1].began if number + 1 < len(watch.lives) else float("inf")
        own = [sample for sample in watch.samples[at:] if sample[0] < until and sample[1] >= first]
        last = max((count for _, count in own), default=first)
        ended = next((when for when, count in own if count == last), life.began)
        found.append(Stretch(life.node, life.epoch, life.began, ended, first, last))
    return found


def pace(watch):
    """Seconds a line takes while nothing disturbs."""
    gaps = [later[0] - earlier[0] for earlier, later in zip(watch.samples, watch.samples[1:]) if later[1] == earlier[1] + 1]
    return statistics.median(gaps)


def lost_after(lives, when, until):
    """Lines computed once more by the lives that began within these times."""
    return sum(max(0, earlier.last - life.first) for earlier, life in zip(lives, lives[1:]) if when <= life.began < until)


def wrongs(watch, text, lines, state):
    found = [] if state == "COMPLETED" else [f"the job has ended as {state}"]
    found += wrong_output(text, lines)
    ordered = [(c.epoch, c.sequence) for c in watch.checkpoints]
    if ordered != sorted(ordered):
        found.append("a copy of the job has published after a newer one had begun to")
    if len({c.sequence for c in watch.checkpoints}) != len(watch.checkpoints):
        found.append("a checkpoint was published twice")
    epochs = [life.epoch for life in watch.lives]
    if epochs != sorted(set(epochs)):
        found.append("the lives' epochs do not grow")
    if watch.lives[0].restored or any(not life.restored for life in watch.lives[1:]):
        found.append("a life after the first did not begin with a checkpoint")
    return found
