# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest's heartbeat: when it beat, how far its work was, and how long the same work takes undisturbed."""

import numpy

BEAT, WRONG, ROUND = 0x81, 0x82, 0x83
RECORD = numpy.dtype([("ns", "<u8"), ("work", "<u8"), ("kind", "<u8"), ("waited", "<u8")])


class Beats:
    """What the recorder has written so far; update() reads what is new. Times are CLOCK_MONOTONIC in seconds."""

    def __init__(self, path):
        self.file = open(path, "rb")
        self.times = numpy.empty(0)
        self.work = numpy.empty(0)
        self.waited = numpy.empty(0)  # seconds that virtual processors have waited for a real one
        self.rounds = []  # units of work at which rounds began
        self.wrong = False
        self.rest = b""

    def update(self):
        data = self.rest + self.file.read()
        whole = len(data) // RECORD.itemsize * RECORD.itemsize
        self.rest = data[whole:]
        new = numpy.frombuffer(data[:whole], RECORD)
        beats = new[new["kind"] != ROUND]
        self.times = numpy.append(self.times, beats["ns"] / 1e9)
        self.work = numpy.append(self.work, beats["work"].astype(float))
        self.waited = numpy.append(self.waited, beats["waited"] / 1e9)
        self.rounds += new["work"][new["kind"] == ROUND].astype(float).tolist()
        self.wrong = self.wrong or bool((new["kind"] == WRONG).any())
        return self

    def _span(self, start, end):
        first = max(int(numpy.searchsorted(self.times, start, "right")) - 1, 0)
        return slice(first, int(numpy.searchsorted(self.times, end, "left")) + 1)

    def between(self, start, end):
        """(times, work) from the last beat before start to the first after end."""
        span = self._span(start, end)
        return self.times[span], self.work[span]

    def running_between(self, start, end):
        """The same by a clock that stands still while the guest waits for a processor that others have."""
        span = self._span(start, end)
        return self.times[span] - self.waited[span], self.work[span]

    def waited_between(self, start, end):
        waited = self.waited[self._span(start, end)]
        return float(waited[-1] - waited[0])

    def work_since(self, start):
        _, work = self.between(start, self.times[-1])
        return work[-1] - work[0]


def longest_gap(times):
    """Seconds between the two beats that are furthest apart."""
    return float(numpy.diff(times).max()) if len(times) > 1 else 0.0


class Undisturbed:
    """How long the guest's work takes when nothing disturbs it, by the place in its round.

    A round is cut into steps; each step's time is the mean of those seen in the stretches given to learn(). How
    fast the host is altogether changes more quickly than a round is over, and is taken from the newest stretches.
    All of this is by the clock of running_between(): a guest that waits for a processor is disturbed. A little of
    that it does by itself, whenever it wakes; that is taken to be as much as in the stretch with the least.
    """

    FORGET = 0.5  # of a stretch's weight, with each newer one

    def __init__(self, round_start, round_work, steps=128):
        self.start, self.round = round_start, round_work
        self.step = round_work / steps
        self.total = numpy.zeros(steps)
        self.count = numpy.zeros(steps)
        self.seen = self.expected = 0.0  # seconds of the newest stretches, and what the steps tell for them
        self.own_waiting = float("inf")  # seconds waited for a second of running

    def learn(self, times, work, waited):
        """The first stretch must have all of a round."""
        first = numpy.ceil((work[0] - self.start) / self.step)
        last = numpy.floor((work[-1] - self.start) / self.step)
        edges = numpy.arange(first, last + 1)
        took = numpy.diff(numpy.interp(edges * self.step + self.start, work, times))
        at = edges[:-1].astype(int) % len(self.total)
        seconds = times[-1] - times[0]
        self.own_waiting = min(self.own_waiting, waited / seconds)
        self.seen = self.FORGET * self.seen + seconds
        if not self.count.all():
            self._add(at, took)
        self.expected = self.FORGET * self.expected + self._by_steps(work[-1]) - self._by_steps(work[0])
        # As the host was when the steps were first seen.
        self._add(at, took * self.expected / self.seen)

    def _add(self, at, took):
        numpy.add.at(self.total, at, took)
        numpy.add.at(self.count, at, 1)

    def _by_steps(self, work):
        """Seconds from the first round's beginning to this much work."""
        edges = numpy.concatenate(([0], numpy.cumsum(self.total / self.count)))
        rounds, rest = divmod(work - self.start, self.round)
        return float(rounds * edges[-1] + numpy.interp(rest / self.step, numpy.arange(len(edges)), edges))

    def running(self, work_from, work_to):
        """Seconds of running from so much work to so much."""
        return float((self._by_steps(work_to) - self._by_steps(work_from)) * self.seen / self.expected)

    def between(self, work_from, work_to):
        """The same with the guest's own waiting."""
        return self.running(work_from, work_to) * (1 + self.own_waiting)
