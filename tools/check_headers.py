#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fails when a source file does not carry the licence line."""
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
KINDS = {".cpp", ".hpp", ".py", ".sh", ".cmake", ".ts", ".tsx", ".mjs", ".js", ".css", ".S"}
NAMES = {"CMakeLists.txt", "dev", "run"}

faults = 0
for name in subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines():
    file = ROOT / name
    if not file.is_file() or (file.suffix not in KINDS and file.name not in NAMES):
        continue
    head = file.read_text(errors="replace")[:400]
    if "SPDX-License-Identifier: Apache-2.0" not in head:
        print(f"{name}: no 'SPDX-License-Identifier: Apache-2.0' in the first lines")
        faults += 1
sys.exit(1 if faults else 0)
