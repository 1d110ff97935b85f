# SPDX-License-Identifier: GPL-2.0-or-later
"""The job: a chain of SHA-256 sums, a line each half second, in a guest that has drawn a number at its start.

Its output tells everything: a line that is missing, doubled, or of another life than the one that was saved shows, and so
does a wrong result. What a user loses by an interruption are lines that are computed once more.
"""

import hashlib

PACE = 0.5  # seconds between two lines, and what computing takes

SCRIPT = """#!/bin/bash
nonce=$(cat /proc/sys/kernel/random/uuid)
digest=start
for ((i = 1; i <= $1; i++)); do
  digest=$(printf '%s %d' "$digest" "$i" | sha256sum)
  digest=${digest%% *}
  echo "$i $nonce $digest"
  sleep 0.5
done
"""


def digests(lines):
    digest = "start"
    for number in range(1, lines + 1):
        digest = hashlib.sha256(f"{digest} {number}".encode()).hexdigest()
        yield digest


def wrong_output(text, lines):
    """What is wrong with the whole output of a job that has ended: reasons, none if it is right."""
    rows = [line.split() for line in text.splitlines()]
    if [row[:1] for row in rows] != [[str(number)] for number in range(1, lines + 1)]:
        return [f"the output is not the lines 1 to {lines}, once each"]
    found = []
    if len({row[1] for row in rows}) != 1:
        found.append("the output is of more than one life: the job was begun anew somewhere")
    if [row[2] for row in rows] != list(digests(lines)):
        found.append("the result is wrong")
    return found
