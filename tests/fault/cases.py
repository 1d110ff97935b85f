# SPDX-License-Identifier: GPL-2.0-or-later
"""The cases of each test. A function of TESTS makes jobs (group, function, arguments) for the workers; the
functions that run them return how many cases they were and what was wrong."""

import cuts
from journal import Journal, promises_of
from sequences import CARRY, CHAINS, PUBLISH

SPACE = ("create", "mkdir", "rename", "link", "write", "sync", "truncate")  # what a full disk may refuse
NAMES = ("create", "mkdir", "rename", "link", "unlink", "rmdir", "sync")
CHANGES = NAMES + ("write", "truncate")


def reference(worker):
    """The journal of a life without faults."""
    worker.place.clear()
    code, said = worker.programs.live(worker.place.tree, "first", worker.place.journal)
    journal = Journal(worker.place.journal)
    if code or said or made(journal) != worker.sequence.first:
        raise RuntimeError(f"without a fault: exit code {code}, checkpoints {made(journal)}, {said}")
    return journal


def made(journal):
    """How many checkpoints were published, and how many carried."""
    notes = [arguments[0] for operation, arguments in journal.steps if operation == "note"]
    return notes.count("published"), notes.count("carried")


def enough(journal, least):
    return all(number >= wanted for number, wanted in zip(made(journal), least))


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
    if not enough(journal, least):
        return 1, [f"{what}: only {made(journal)} checkpoints were published and carried: {said}"]
    bad = worker.checker.ask(worker.place.tree, promises_of(journal).text())
    return 1, [f"{what}: {bad}"] if bad else []


def errors(worker):
    journal = reference(worker)
    jobs = []
    # One checkpoint is given up, or one is not carried, no more.
    all_but_one = tuple(number - 1 for number in worker.sequence.first)
    for error, numbers in (("ENOSPC", calls(journal, SPACE)), ("EIO", range(1, journal.calls + 1))):
        for number in numbers:
            fault = {"mode": "error", "errno": error, "at": number}
            jobs.append((f"{error} once", "one_fault", ("first", all_but_one, 0, fault)))
            fault = {"mode": "errors", "errno": error, "at": number}
            jobs.append((f"{error} from there on", "one_fault", ("first", (0, 0), 0, fault)))
    for number in calls(journal, ("write",)):
        fault = {"mode": "short", "at": number}
        jobs.append(("short write", "one_fault", ("first", worker.sequence.first, 0, fault)))
    return jobs


def kill(worker):
    journal = reference(worker)
    return [(mode, "one_fault", ("first", (0, 0), 137, {"mode": mode, "at": number}))
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
    return cuts.check(worker, Journal.of_text(*text), first, end, cuts.SYSTEMATIC,
                      worker.sequence.randoms)


def cut_after_failed_sync(worker, number):
    worker.place.clear()
    worker.programs.live(worker.place.tree, "first", worker.place.journal, mode="error", errno="EIO", at=number)
    journal = Journal(worker.place.journal)
    ran, wrong = cuts.check(worker, journal, number, number + worker.sequence.reach, cuts.EXTREMES, randoms=0)
    return ran, [f"{describe(journal, {'mode': 'EIO'})}, {text}" for text in wrong]


def cut_after_kill(worker, number):
    worker.place.clear()
    worker.programs.live(worker.place.tree, "first", worker.place.journal, mode="kill-after", at=number)
    killed = Journal(worker.place.journal)
    code, said = worker.programs.live(worker.place.tree, "resume", worker.place.journal)
    journal = Journal(worker.place.journal)
    wanted = [sum(numbers) for numbers in zip(made(killed), worker.sequence.resumed)]
    if code or not enough(journal, wanted):
        return 1, [f"{describe(killed, {'mode': 'killed'})}: nothing goes on: exit code {code}, {said}"]
    # A removal that was cut short is where half of it may come back.
    _, call, path = killed.fault()
    randoms = 2 if call == "unlink" and path.endswith("/manifest.json") else 0
    ran, wrong = cuts.check(worker, journal, number, journal.calls + 1, cuts.EXTREMES[:1], randoms)
    return ran, [f"{describe(killed, {'mode': 'killed'})}, {text}" for text in wrong]


def harness(worker):
    journal = reference(worker)
    text = journal.text()
    jobs = [("an fsync that does nothing is seen", "swallowed", (name,)) for name in worker.sequence.fsyncs]
    jobs += [("damage is seen", "damaged", (text, kind)) for kind in worker.sequence.damage]
    return jobs


def swallowed(worker, name):
    worker.place.clear()
    worker.programs.live(worker.place.tree, "first", worker.place.journal, swallow=worker.sequence.fsyncs[name])
    journal = Journal(worker.place.journal)
    _, wrong = cuts.check(worker, journal, 0, journal.calls + 1, cuts.SYSTEMATIC, randoms=0, enough=1)
    return 1, [] if wrong else [f"the fsync {name} was left out, and no tree was found broken"]


def damaged(worker, text, kind):
    journal = Journal.of_text(*text)
    worker.place.clear()
    cuts.build_end(journal, worker.place.tree)
    promises = promises_of(journal).text()
    pattern, damage = worker.sequence.damage[kind]
    damage(max(worker.place.tree.glob(pattern)))
    if not cuts.difference(journal, worker.place.tree):
        return 1, [f"{kind}: the tree seems to be what the journal says"]
    if not worker.checker.ask(worker.place.tree, promises):
        return 1, [f"{kind} is damaged and the checker finds all well"]
    return 1, []


# What makes the cases, and of which sequence.
TESTS = {prefix + name: (function, sequence)
         for prefix, sequence in (("", PUBLISH), ("chains_", CHAINS), ("carry_", CARRY))
         for name, function in (("errors", errors), ("kill", kill), ("power_cut", power_cut),
                                ("harness", harness))}
