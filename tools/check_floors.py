#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fails when an #include climbs: a room may include only rooms of a lower floor, and of its own (docs/architecture.md)."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
DECLARATION = re.compile(r"meridian_library\(\s*NAME\s+(\w+)\s+FLOOR\s+(\d+)(?:\s+USES\s+((?:[a-z_]+\s*)+))?")
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"/]+)/')


def rooms():
    found = {}
    for file in (ROOT / "src").rglob("CMakeLists.txt"):
        for name, floor, uses in DECLARATION.findall(file.read_text()):
            found[name] = (int(floor), set(uses.split()))
    found["cli"] = (8, set(found))  # the command stands on everything
    return found


def main():
    known = rooms()
    faults = 0
    for file in sorted((ROOT / "src").rglob("*.[ch]pp")):
        room = file.relative_to(ROOT / "src").parts[0]
        if room not in known:
            print(f"{file.relative_to(ROOT)}: the folder '{room}' is no room (no meridian_library)")
            faults += 1
            continue
        floor, uses = known[room]
        for number, line in enumerate(file.read_text().splitlines(), 1):
            match = INCLUDE.match(line)
            if not match or match[1] == room or match[1] not in known:
                continue
            if known[match[1]][0] >= floor:
                print(f"{file.relative_to(ROOT)}:{number}: {room} (floor {floor}) includes {match[1]} (floor {known[match[1]][0]}): includes go down only")
                faults += 1
            elif match[1] not in uses:
                print(f"{file.relative_to(ROOT)}:{number}: {room} includes {match[1]} without naming it in USES")
                faults += 1
    sys.exit(1 if faults else 0)


main()
