#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fails when a package of the lists in `dev`, a library that CMake links, or what the tests' lock files ask for has no row (with a
licence that SPDX knows) in docs/dependencies.md, or another version there than is pinned; and when the table of time frames is not there.

With --updates also when Debian offers a security update of a package that the server is linked with (and says so of the others): as
fresh as `apt-get update`. tools/package shows them.
"""
import json
import re
import subprocess
import sys

import components

FRAMES = ("critical", "high", "medium", "low", "no weakness known")


def without_row(rows):
    """Every package that has no row, or whose licence is not understood."""
    wanted = {package: "the lists of dev" for names in components.dev_lists().values() for package in names}
    for package, place in components.linked().items():
        if package.startswith("?"):
            yield f"{place} links {package[1:]}, which tools/components.py does not know"
        else:
            wanted.setdefault(package, place)
            if package not in components.dev_lists()["packages"]:
                yield f"{place} links {package}, which ./dev setup does not install"
    for package, place in sorted(wanted.items()):
        row, _ = components.row_of(package, rows)
        if row is None:
            yield f"docs/dependencies.md has no row for {package} (of {place})"
        elif components.licence_of(package, rows) == "NOASSERTION":
            yield f"docs/dependencies.md: the licence of {package} ({', '.join(row[1])}) is not understood"


def other_versions(rows):
    """What the tests ask for by name has a row with the pinned version."""
    pinned = {}
    for file in sorted(components.ROOT.glob("tests/*/package.json")):
        pinned.update(json.loads(file.read_text(encoding="utf-8")).get("dependencies", {}))
    for kind, name, version, *_ in components.locked():
        if kind == "golang":
            pinned[name] = version.removeprefix("v")
    for name, version in sorted(pinned.items()):
        row, _ = components.row_of(name, rows)
        if row is None:
            yield f"docs/dependencies.md has no row for {name} {version} of the tests"
        elif not re.search(rf"{re.escape(name)} {re.escape(version)}\b", row[0]):
            yield f"docs/dependencies.md names another version of {name} than {version}"


def other_installed_versions(rows):
    """Where a row names a version of a Debian package, the installed one begins with it."""
    done = subprocess.run(["dpkg-query", "-W", "-f=${Package} ${Version}\n"], capture_output=True, text=True, check=False)
    installed = dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)
    for cell, *_ in rows:
        for name, version in re.findall(r"([a-z][a-z0-9+.\-]*-dev) ([0-9][0-9.]*)", cell):
            upstream = re.sub(r"^[0-9]+:", "", installed.get(name, "")).strip()
            if upstream and not re.match(rf"{re.escape(version)}\b", upstream):
                yield f"docs/dependencies.md names {name} {version}; {upstream} is installed"


def missing_frames():
    text = (components.ROOT / "docs/dependencies.md").read_text(encoding="utf-8")
    section = text.partition("## Time frames")[2]
    for frame in FRAMES:
        line = next((one for one in section.splitlines() if one.startswith(f"| {frame}")), "")
        if not re.search(r"\| [^|]*(days|release) \| [^|]*(days|release) \|", line):
            yield f"docs/dependencies.md, Time frames: no time for \"{frame}\""


def security_updates():
    """(name, sentence) of installed packages of the lists for which apt knows a newer version in a security archive."""
    names = sorted({package for some in components.dev_lists().values() for package in some})
    done = subprocess.run(["apt-cache", "policy", *names], capture_output=True, text=True, check=False, env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"})
    for part in re.split(r"\n(?=\S)", done.stdout):
        name = part.partition(":")[0].strip()
        installed = re.search(r"Installed: (\S+)", part)
        candidate = re.search(r"Candidate: (\S+)", part)
        if not installed or not candidate or installed.group(1) in ("(none)", candidate.group(1)):
            continue
        offered = part.partition(f" {candidate.group(1)} ")[2].partition("\n     ")[2]
        source = offered.splitlines()[0] if offered else ""
        if "security" in part.partition("Version table:")[2].split(installed.group(1))[0]:
            yield name, f"{name} {installed.group(1)} is installed, and {candidate.group(1)} mends a weakness {source.strip()}"


def main():
    rows = components.table()
    faults = [*without_row(rows), *other_versions(rows), *other_installed_versions(rows), *missing_frames()]
    if "--updates" in sys.argv:
        for name, fault in security_updates():
            (faults.append if name in components.linked() else print)(fault)
    for fault in faults:
        print(fault)
    sys.exit(1 if faults else 0)


main()
