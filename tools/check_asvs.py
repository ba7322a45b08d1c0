#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads docs/asvs.csv: which requirement of OWASP ASVS 5.0.0 is shown by which test.

Numbers and levels are those of the standard (https://owasp.org/www-project-application-security-verification-standard/, its
texts are not repeated here). States: test (named, and there: "Suite.Name" of GoogleTest, "tools/check_x.py:function" of `./dev check`,
"tests/e2e/x.mjs:scene" or "tests/scenarios/x.scn:name"), waiver (the component does not exist here; says why), open (not met,
or not shown yet). Fails for a test that does not exist, a waiver without a reason, a row that is missing or stands twice; with
--strict also for an open row of level 1 or 2.
"""
import collections
import csv
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROWS = {"1": 70, "2": 183, "3": 92}  # of the standard
TEST = re.compile(r"(?:TEST|TEST_F|TEST_P|RC_GTEST_PROP|RC_GTEST_FIXTURE_PROP)\(\s*(\w+),\s*(\w+)")


def tests():
    found = set()
    for folder in ("src", "tests"):
        for file in (ROOT / folder).rglob("*_test.cpp"):
            found.update(f"{suite}.{name}" for suite, name in TEST.findall(file.read_text()))
    return found


def is_there(test, known):
    """Whether a test of any of the kinds exists."""
    if test in known:
        return True
    file, _, part = test.partition(":")
    if not part or not re.fullmatch(r"(tools/check_\w+(\.py)?|tests/e2e/\w+\.mjs|tests/scenarios/\w+\.scn)", file) or not (ROOT / file).exists():
        return False
    text = (ROOT / file).read_text()
    return any(mark in text for mark in (f"def {part}(", f"scene('{part}'", f"name  {part}\n"))


def main():
    known, faults, seen, counts = tests(), [], set(), collections.Counter()
    with open(ROOT / "docs/asvs.csv", newline="") as file:
        for row in csv.DictReader(file):
            name, level, state = row["requirement"], row["level"], row["state"]
            counts[level, state] += 1
            if name in seen:
                faults.append(f"{name} stands twice")
            seen.add(name)
            if state not in ("test", "waiver", "open"):
                faults.append(f"{name}: \"{state}\" is no state")
            if state == "test" and not is_there(row["test"], known):
                faults.append(f"{name}: there is no test {row['test']}")
            if state == "waiver" and not row["note"]:
                faults.append(f"{name}: a waiver needs a reason")
            if state == "open" and level != "3" and "--strict" in sys.argv:
                faults.append(f"{name}: open")
    for level, wanted in ROWS.items():
        there = sum(count for (of, _), count in counts.items() if of == level)
        if there != wanted:
            faults.append(f"level {level} has {there} rows, the standard {wanted}")
        print(f"ASVS level {level}: " + ", ".join(f"{counts[level, state]} {state}" for state in ("test", "waiver", "open")))
    for fault in faults:
        print(f"docs/asvs.csv: {fault}")
    sys.exit(1 if faults else 0)


main()
