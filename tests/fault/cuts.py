# SPDX-License-Identifier: GPL-2.0-or-later
"""Power cuts at the points of a journal, each tree given to the checker."""

import random

import power_cut
from journal import Promises

EXTREMES = [("only what is durable", power_cut.DURABLE), ("everything", power_cut.EVERYTHING)]
SYSTEMATIC = EXTREMES + [("names without data", power_cut.NAMES_ONLY),
                         ("names and sizes without data", power_cut.NAMES_AND_SIZES)]


def check(worker, journal, first, end, choices, randoms, enough=None):
    """Cuts after each call of first..end-1 (0: before the first) that did something, and after each note. Trees
    that are the same are checked once; it ends when `enough` are wrong. Returns how many were checked, and what
    was wrong."""
    disk, promises = power_cut.Disk(), Promises()
    seen, wrong = set(), []
    number = 0
    for operation, arguments in [("note", ["begin"])] + journal.steps:
        if operation == "note":
            promises.note(arguments)
        else:
            number += 1
            disk.do(operation, arguments, journal.data)
        if not first <= number < end or operation in ("nothing", "failed"):
            continue
        ways = list(choices)
        for n in range(randoms):
            way = f"random {n}"
            ways.append((way, power_cut.Choice("random", "random", random.Random(f"{number} {operation} {n}"))))
        for way, choice in ways:
            tree = disk.tree(choice)
            key = (power_cut.digest(tree), promises.text())
            if key in seen:
                continue
            seen.add(key)
            worker.place.clear_tree()
            power_cut.build(tree, worker.place.tree)
            bad = worker.checker.ask(worker.place.tree, promises.text())
            if bad:
                wrong.append(f"power cut after call {number} ({operation} {' '.join(arguments)}), {way}: {bad}")
                if len(wrong) == enough:
                    return len(seen), wrong
    return len(seen), wrong


def at_end(journal):
    disk = power_cut.Disk()
    for operation, arguments in journal.steps:
        if operation != "note":
            disk.do(operation, arguments, journal.data)
    return disk.tree(power_cut.EVERYTHING)


def build_end(journal, where):
    power_cut.build(at_end(journal), where)


def difference(journal, where):
    """How the directory differs from what the journal says, or None."""
    tree = at_end(journal)
    there = {str(path.relative_to(where)): path for path in where.rglob("*")}
    for path in sorted(tree.keys() | there.keys()):
        if path not in tree or path not in there:
            return f"{path} is only {'in the journal' if path in tree else 'in the directory'}"
        if tree[path] is None:
            if not there[path].is_dir():
                return f"{path} is no directory"
        elif there[path].read_bytes() != tree[path][1]:
            return f"{path} has other content"
    return None
