#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Counts test cases in the JUnit files of a directory: gtest's and bats' own, and ctest's for what left none.

Prints every skipped case with its reason and, last, "N passed, N failed, N skipped". Exit 1 if any failed or
none ran.
"""
import pathlib
import sys
import xml.etree.ElementTree as xml


def cases(path):
    try:
        root = xml.parse(path).getroot()
    except xml.ParseError:
        return
    for case in root.iter("testcase"):
        skipped = case.find("skipped")
        failed = case.find("failure") is not None or case.find("error") is not None
        # gtest marks disabled cases as not run; ctest says why a test did not.
        if case.get("status") in ("notrun", "disabled"):
            continue
        reason = None
        if skipped is not None:
            reason = skipped.get("message") or (skipped.text or "").strip() or "no reason given"
        yield case.get("name"), failed, reason


def main():
    directory = pathlib.Path(sys.argv[1])
    passed = failed = skipped = 0
    for path in sorted(directory.rglob("*.xml")):
        if path.name == "ctest.xml":
            continue
        for name, bad, reason in cases(path):
            if bad:
                failed += 1
            elif reason is not None:
                skipped += 1
                print(f"skipped: {path.stem}: {name}: {reason}")
            else:
                passed += 1
    # A program that crashed or ran out of time has left no file, or one without the failure.
    broken = sum(1 for _, bad, _ in cases(directory / "ctest.xml") if bad)
    failed = max(failed, broken)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


sys.exit(main())
