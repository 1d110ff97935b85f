# SPDX-License-Identifier: GPL-2.0-or-later
"""The journal of faulty_files.so: what was done below a directory, in order (README.md has the lines)."""

import pathlib


class Journal:
    """steps: a list of (operation, arguments); notes are operations, too. calls: how many were counted."""

    def __init__(self, path):
        path = pathlib.Path(path)
        self.read(path.read_text(), path.with_name(path.name + ".data").read_bytes())

    @classmethod
    def of_text(cls, text, data):
        journal = cls.__new__(cls)
        journal.read(text, data)
        return journal

    def text(self):
        return self.lines, self.data

    def read(self, text, data):
        self.lines = text
        self.data = data
        self.steps = []
        self.calls = 0
        for line in text.splitlines():
            number, operation, *arguments = line.split("\t")
            if operation == "unknown":
                raise ValueError(f"what was done cannot be simulated: {arguments}")
            if number == "note":
                self.steps.append(("note", [operation, *arguments]))
            else:
                self.calls += 1
                self.steps.append((operation, arguments))

    def fault(self):
        """What the fault hit: (number, call, path), or None."""
        for operation, arguments in self.steps:
            if operation == "note" and arguments[0] == "fault":
                return int(arguments[1]), arguments[2], arguments[3] if len(arguments) > 3 else ""
        return None


class Promises:
    """What the job may rely on: checkpoints whose publishing has returned and that no pruning may remove, of the
    level they are taken on and of the one they are carried to."""

    def __init__(self):
        self.taken = {}  # steps by sequence
        self.carried = {}

    def note(self, arguments):
        kind, *values = arguments
        if kind in ("published", "found"):
            self.taken[int(values[0])] = int(values[1])
        elif kind in ("carried", "found-carried"):
            self.carried[int(values[0])] = int(values[1])
        elif kind == "prune":
            self.taken = newest(self.taken, int(values[0]))
        elif kind == "prune-carried":
            self.carried = newest(self.carried, int(values[0]))

    def text(self):
        """The last two words of a line for the checker."""
        return "\t".join(",".join(f"{sequence}:{step}" for sequence, step in sorted(steps.items()))
                         for steps in (self.taken, self.carried))


def newest(steps, count):
    # All of one job's life: a later step is a newer checkpoint.
    return dict(sorted(steps.items(), key=lambda item: item[1])[-count:])


def promises_of(journal):
    promises = Promises()
    for operation, arguments in journal.steps:
        if operation == "note":
            promises.note(arguments)
    return promises
