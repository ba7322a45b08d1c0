# SPDX-License-Identifier: Apache-2.0
"""What Meridian is built of and tested with, read from where it is said: the package lists of `dev`, the libraries that CMake links,
the lock files of tests, the table of docs/dependencies.md. For tools/check_dependencies.py and tools/make_sbom.py."""
import json
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent
LISTS = ("packages", "check_packages", "e2e_packages")

# What CMake's own modules find; pkg_check_modules names a .pc file, which is looked up below.
CMAKE_MODULES = {
    "Boost": "libboost1.81-dev", "OpenSSL": "libssl-dev", "ZLIB": "zlib1g-dev", "ICU": "libicu-dev", "CLI11": "libcli11-dev",
    "SQLite3": "libsqlite3-dev", "simdjson": "libsimdjson-dev", "spdlog": "libspdlog-dev", "fmt": "libfmt-dev", "GTest": "libgtest-dev",
    "Threads": None, "PkgConfig": "pkg-config",
}
PC_FILES = {
    "libzstd": "libzstd-dev", "libcurl": "libcurl4-openssl-dev", "pugixml": "libpugixml-dev", "re2": "libre2-dev", "libpq": "libpq-dev",
    "libsodium": "libsodium-dev", "libfido2": "libfido2-dev", "libcbor": "libcbor-dev", "liboath": "liboath-dev",
    "jemalloc": "libjemalloc-dev", "p11-kit-1": "libp11-kit-dev",
}
# Found by include alone.
HEADERS = {"toml++": "libtomlplusplus-dev", "p11-kit-1": "libp11-kit-dev"}

# How the table writes a licence → SPDX licence list 3.
SPDX = {
    "BSL-1.0": "BSL-1.0", "Apache-2.0": "Apache-2.0", "curl": "curl", "MIT": "MIT", "PostgreSQL": "PostgreSQL", "BSD-3": "BSD-3-Clause",
    "BSD-2": "BSD-2-Clause", "Unicode-3.0": "Unicode-3.0", "Zlib": "Zlib", "ISC": "ISC", "LGPL-2.1+": "LGPL-2.1-or-later",
    "LGPL-2.0+": "LGPL-2.0-or-later", "GPL-3+": "GPL-3.0-or-later", "GPL-2": "GPL-2.0-only", "GPL-2+": "GPL-2.0-or-later",
    "PSF": "PSF-2.0", "OFL-1.1": "OFL-1.1", "CC0": "CC0-1.0", "SQLite blessing": "blessing", "Apache-2.0 with LLVM exception": "Apache-2.0 WITH LLVM-exception",
    "Artistic-2.0": "Artistic-2.0", "MPL-2.0": "MPL-2.0",
}


def dev_lists():
    """{"packages": [names], …} of the script `dev`."""
    text = re.sub(r"^ *#[^\n]*", "", (ROOT / "dev").read_text(encoding="utf-8"), flags=re.M)
    lists = {}
    for name in LISTS:
        body = re.search(rf"^{name}=\((.*?)\)", text, re.M | re.S).group(1)
        lists[name] = body.split()
    return lists


def linked():
    """{Debian package: where CMake asks for it}; None as a package for what is in no table above."""
    found = {}
    for file in sorted([ROOT / "CMakeLists.txt", *ROOT.glob("src/**/CMakeLists.txt"), *ROOT.glob("cmake/*.cmake"),
                        *ROOT.glob("tests/**/CMakeLists.txt"), *ROOT.glob("bench/CMakeLists.txt"), *ROOT.glob("fuzz/CMakeLists.txt")]):
        text = file.read_text(encoding="utf-8")
        place = str(file.relative_to(ROOT))
        for name in re.findall(r"find_package\((\w+)", text):
            if CMAKE_MODULES.get(name, "?") is not None:
                found.setdefault(CMAKE_MODULES.get(name, f"?{name}"), place)
        for modules in re.findall(r"pkg_check_modules\(\w+ REQUIRED IMPORTED_TARGET ([^)]+)\)", text):
            for name in modules.split():
                found.setdefault(PC_FILES.get(name, f"?{name}"), place)
    return found


def table():
    """Rows of docs/dependencies.md: (first cell, licences as written, why)."""
    rows = []
    for line in (ROOT / "docs/dependencies.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("|") and len(cells) >= 3 and not set(cells[0]) <= set("-") and cells[0] != "package":
            rows.append((cells[0], [one.strip() for one in cells[1].split(",")], cells[2]))
    return rows


def names_in(cell):
    """The packages of a first cell: "libssl-dev 3.0, zlib1g-dev (why)" → [libssl-dev, zlib1g-dev]."""
    bare = re.sub(r"\([^)]*\)", "", cell)
    parts = [part.strip().removeprefix("npm ").split() for part in bare.split(",")]
    return [part[0].strip("`") for part in parts if part]


def row_of(package, rows):
    """The row whose first cell names the package, and the name's place in it; (None, 0) when none does."""
    for cells in rows:
        names = names_in(cells[0])
        if package in names:
            return cells, names.index(package)
    return None, 0


def licence_of(package, rows):
    """SPDX expression for a package of the table; NOASSERTION where the table has a dash or nothing."""
    row, place = row_of(package, rows)
    if row is None:
        return "NOASSERTION"
    written = row[1][place] if place < len(row[1]) else row[1][-1]
    return SPDX.get(written, "NOASSERTION")


def locked():
    """Packages of the npm lock files and go.mod of tests/: (kind, name, version, licence, sha512 in hex or None, lock file)."""
    import base64

    found = {}
    for file in sorted(ROOT.glob("tests/*/package-lock.json")):
        for path, one in json.loads(file.read_text(encoding="utf-8"))["packages"].items():
            if not path or "version" not in one:
                continue
            name = one.get("name") or path.split("node_modules/")[-1]
            digest = next((part for part in one.get("integrity", "").split() if part.startswith("sha512-")), None)
            found["npm", name, one["version"]] = ("npm", name, one["version"], one.get("license", "NOASSERTION"),
                                                 base64.b64decode(digest[7:]).hex() if digest else None, str(file.relative_to(ROOT)))
    for file in sorted(ROOT.glob("tests/*/go.mod")):
        for name, version in re.findall(r"^(?:require\s+|\t)(\S+\.\S+/\S+) (v\S+)", file.read_text(encoding="utf-8"), re.M):
            found["golang", name, version] = ("golang", name, version, "BSD-3-Clause" if name.startswith("golang.org/x/") else "NOASSERTION", None, str(file.relative_to(ROOT)))
    return [found[key] for key in sorted(found)]
