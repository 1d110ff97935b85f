# SPDX-License-Identifier: GPL-2.0-or-later
"""The cases of each test. A function of TESTS makes jobs (group, function, arguments) for the workers; the
functions that run them return how many cases they were and what was wrong."""

import cuts
from journal import Journal, promises_of

CHECKPOINTS = 5  # of publish_sequence's first life
RESUMED = 2
SPACE = ("create", "mkdir", "rename", "link", "write", "sync", "truncate")  # what a full disk may refuse
NAMES = ("create", "mkdir", "rename", "link", "unlink", "rmdir", "sync")
CHANGES = NAMES + ("write", "truncate")


def reference(worker):
    """The journal of a life without faults."""
    worker.place.clear()
    code, said = worker.programs.live(worker.place.tree, "first", worker.place.journal)
    journal = Journal(worker.place.journal)
    count = published(journal)
    if code or said or count != CHECKPOINTS:
        raise RuntimeError(f"without a fault: exit code {code}, {count} checkpoints, {said}")
    return journal


def published(journal):
    return sum(operation == "note" and arguments[0] == "published" for operation, arguments in journal.steps)


def calls(journal, wanted):
    """The numbers of the calls that did one of the wanted operations."""
    done = [operation for operation, _ in journal.steps if operation != "note"]
    return [number for number, operation in enumerate(done, 1) if operation in wanted]


def describe(journal, fault):
    hit = journal.fault()
    where = f"call {hit[0]} ({hit[1]} {hit[2]})" if hit else "nothing"
    return f"{' '.join(str(value) for value in fault.values())} at {where}"


def one_fault(worker, life, least, code_wanted, fault):
    """A life with a fault; what is left of it must be good."""
    worker.place.clear()
    code, said = worker.programs.live(worker.place.tree, life, worker.place.journal, **fault)
    journal = Journal(worker.place.journal)
    what = describe(journal, fault)
    if not journal.fault():
        return 0, []  # the life was shorter this time
    if code != code_wanted:
        return 1, [f"{what}: the job ended with {code}: {said}"]
    if published(journal) < least:
        return 1, [f"{what}: only {published(journal)} checkpoints were published: {said}"]
    bad = worker.checker.ask(worker.place.tree, promises_of(journal).text())
    return 1, [f"{what}: {bad}"] if bad else []


def errors(worker):
    journal = reference(worker)
    jobs = []
    for error, numbers in (("ENOSPC", calls(journal, SPACE)), ("EIO", range(1, journal.calls + 1))):
        for number in numbers:
            fault = {"mode": "error", "errno": error, "at": number}
            # One checkpoint is given up, no more.
            jobs.append((f"{error} once", "one_fault", ("first", CHECKPOINTS - 1, 0, fault)))
            fault = {"mode": "errors", "errno": error, "at": number}
            jobs.append((f"{error} from there on", "one_fault", ("first", 0, 0, fault)))
    for number in calls(journal, ("write",)):
        fault = {"mode": "short", "at": number}
        jobs.append(("short write", "one_fault", ("first", CHECKPOINTS, 0, fault)))
    return jobs


def kill(worker):
    journal = reference(worker)
    return [(mode, "one_fault", ("first", 0, 137, {"mode": mode, "at": number}))
            for number in calls(journal, CHANGES) for mode in ("kill-before", "kill-after")]


def power_cut(worker):
    journal = reference(worker)
    difference = cuts.difference(journal, worker.place.tree)
    if difference:
        raise RuntimeError(f"the journal does not say all that was done: {difference}")
    text = journal.text()
    jobs = [("after every call", "cut_everywhere", (text, first, first + 8))
            for first in range(0, journal.calls + 1, 8)]
    jobs += [("after an fsync that failed", "cut_after_failed_sync", (number,))
             for number in calls(journal, ("sync",))]
    jobs += [("in the life after a crash", "cut_after_kill", (number,))
             for number in calls(journal, NAMES)]
    return jobs


def cut_everywhere(worker, text, first, end):
    return cuts.check(worker, Journal.of_text(*text), first, end, cuts.SYSTEMATIC, randoms=6)


def cut_after_failed_sync(worker, number):
    worker.place.clear()
    worker.programs.live(worker.place.tree, "first", worker.place.journal, mode="error", errno="EIO", at=number)
    journal = Journal(worker.place.journal)
    ran, wrong = cuts.check(worker, journal, number, number + 80, cuts.EXTREMES, randoms=0)
    return ran, [f"{describe(journal, {'mode': 'EIO'})}, {text}" for text in wrong]


def cut_after_kill(worker, number):
    worker.place.clear()
    worker.programs.live(worker.place.tree, "first", worker.place.journal, mode="kill-after", at=number)
    killed = Journal(worker.place.journal)
    code, said = worker.programs.live(worker.place.tree, "resume", worker.place.journal)
    journal = Journal(worker.place.journal)
    if code or published(journal) != published(killed) + RESUMED:
        return 1, [f"{describe(killed, {'mode': 'killed'})}: nothing goes on: exit code {code}, {said}"]
    # A removal that was cut short is where half of it may come back.
    _, call, path = killed.fault()
    randoms = 2 if call == "unlink" and path.endswith("/manifest.json") else 0
    ran, wrong = cuts.check(worker, journal, number, journal.calls + 1, cuts.EXTREMES[:1], randoms)
    return ran, [f"{describe(killed, {'mode': 'killed'})}, {text}" for text in wrong]


# Every fsync of the sequence, by the path below the directory; the loss of any must be seen.
SWALLOWED = {
    "of an image": "*/memory.h5.partial",
    "of a disk file": "*/disk/*",
    "of a disk part": "*/0*/disk",
    "of a checkpoint's directory": "*/0?????",
    "of a manifest": "*/manifest.json.*",
    "of the job's directory": "*/cluster-4711",
    "of the epochs": "*/epochs",
    "of the root": "new/root",
    "of the root's parent": "new",
}


def harness(worker):
    journal = reference(worker)
    text = journal.text()
    jobs = [("an fsync that does nothing is seen", "swallowed", (name,)) for name in SWALLOWED]
    jobs += [("damage is seen", "damaged", (text, kind)) for kind in DAMAGE]
    return jobs


def swallowed(worker, name):
    worker.place.clear()
    worker.programs.live(worker.place.tree, "first", worker.place.journal, swallow=SWALLOWED[name])
    journal = Journal(worker.place.journal)
    _, wrong = cuts.check(worker, journal, 0, journal.calls + 1, cuts.SYSTEMATIC, randoms=0, enough=1)
    return 1, [] if wrong else [f"the fsync {name} was left out, and no tree was found broken"]


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def shorten(path):
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 1)


# What is done to a tree, and to which file of its newest checkpoint.
DAMAGE = {
    "a bit of the image": ("memory.h5", flip),
    "the end of the image": ("memory.h5", shorten),
    "the disk": ("disk/root", flip),
    "a bit of the manifest": ("manifest.json", flip),
    "the whole checkpoint": ("manifest.json", lambda path: path.unlink()),
}


def damaged(worker, text, kind):
    journal = Journal.of_text(*text)
    worker.place.clear()
    cuts.build_end(journal, worker.place.tree)
    promises = promises_of(journal).text()
    name, damage = DAMAGE[kind]
    newest = max((worker.place.tree / "new/root/cluster-4711").glob("0*"))
    damage(newest / name)
    if not cuts.difference(journal, worker.place.tree):
        return 1, [f"{kind}: the tree seems to be what the journal says"]
    if not worker.checker.ask(worker.place.tree, promises):
        return 1, [f"{kind} is damaged and the checker finds all well"]
    return 1, []


TESTS = {"errors": errors, "kill": kill, "power_cut": power_cut, "harness": harness}
