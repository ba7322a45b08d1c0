#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes Meridian's bill of materials as SPDX 2.3 in JSON (https://spdx.github.io/spdx-spec/v2.3/): the Debian packages that it is
linked with, built by and tested by, with their installed versions; what the lock files of tests/ pin; data of others that it carries.

usage: tools/make_sbom.py [FILE]     (default: standard output)

The same tree on the same packages gives the same bytes: the time is that of the commit, or SOURCE_DATE_EPOCH.
"""
import datetime
import hashlib
import json
import os
import re
import subprocess
import sys

import components

# Data in the tree that others made (data/*/README.md, data/r4/LICENSE.md): name, version, licence, where it came from.
CARRIED = [
    ("hl7.fhir.r4.examples", "4.0.1", "CC0-1.0", "https://registry.npmjs.org/hl7.fhir.r4.examples"),
    ("hl7.fhir.r4.expansions", "4.0.1", "CC0-1.0", "https://registry.npmjs.org/hl7.fhir.r4.expansions"),
    ("hl7.terminology.r4", "7.0.1", "CC0-1.0", "https://registry.npmjs.org/hl7.terminology.r4"),
    ("zxcvbn", "4.4.2", "MIT", "https://github.com/dropbox/zxcvbn"),
]
TESTS_ONLY = {"libgtest-dev", "librapidcheck-dev", "libbenchmark-dev", "curl", "jq", "postgresql-15", "softhsm2", "python3"}
ROOT_ID = "SPDXRef-Package-meridian"


def output_of(*words):
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=components.ROOT)
    return done.stdout.strip() if done.returncode == 0 else ""


def identifier(kind, name, version):
    return "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", "-", f"{kind}-{name}-{version}".rstrip("-"))


def package(kind, name, version, licence, location="NOASSERTION", purl=None, sha512=None, supplier=None):
    made = {
        "SPDXID": identifier(kind, name, version),
        "name": name,
        "downloadLocation": location,
        "filesAnalyzed": False,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": licence,
        "copyrightText": "NOASSERTION",
    }
    if version:
        made["versionInfo"] = version
    if supplier:
        made["supplier"] = supplier
    if purl:
        made["externalRefs"] = [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl}]
    if sha512:
        made["checksums"] = [{"algorithm": "SHA512", "checksumValue": sha512}]
    return made


def debian_packages():
    """(SPDX package, how Meridian uses it) of every package in the lists of dev."""
    rows, linked, lists = components.table(), components.linked(), components.dev_lists()
    found = set(components.HEADERS.values()) | set(linked)
    for name in sorted({name for names in lists.values() for name in names}):
        version = output_of("dpkg-query", "-W", "-f=${Version}", name)
        architecture = output_of("dpkg-query", "-W", "-f=${Architecture}", name)
        purl = f"pkg:deb/debian/{name}@{version.replace('+', '%2B').replace('~', '~')}?arch={architecture}&distro=debian-12" if version else f"pkg:deb/debian/{name}?distro=debian-12"
        use = "TEST_TOOL_OF" if name in TESTS_ONLY or name in lists["e2e_packages"] else "DEPENDS_ON" if name in found and name != "pkg-config" else "BUILD_TOOL_OF"
        yield package("Debian", name, version, components.licence_of(name, rows), purl=purl, supplier="Organization: Debian"), use


def pinned_packages():
    for kind, name, version, licence, sha512, _ in components.locked():
        purl = f"pkg:{kind}/{name.replace('@', '%40')}@{version}"
        location = f"https://registry.npmjs.org/{name}/-/{name.split('/')[-1]}-{version}.tgz" if kind == "npm" else f"https://proxy.golang.org/{name}/@v/{version}.zip"
        licence = licence if re.fullmatch(r"[A-Za-z0-9.\-+() ]+", licence) else "NOASSERTION"
        yield package(kind, name, version, licence, location, purl, sha512), "TEST_DEPENDENCY_OF"


def carried_data():
    for name, version, licence, location in CARRIED:
        yield package("Data", name, version, licence, location), "CONTAINS"


def relationship(use, other):
    """In the direction that SPDX gives it: Meridian depends on and contains; tools are tools of Meridian."""
    if use in ("DEPENDS_ON", "CONTAINS"):
        return {"spdxElementId": ROOT_ID, "relationshipType": use, "relatedSpdxElement": other}
    return {"spdxElementId": other, "relationshipType": use, "relatedSpdxElement": ROOT_ID}


def document():
    version = re.search(r"project\(meridian VERSION (\S+)", (components.ROOT / "CMakeLists.txt").read_text(encoding="utf-8")).group(1)
    own = package("Package", "meridian", "", "Apache-2.0")
    own.update({"SPDXID": ROOT_ID, "versionInfo": version, "licenseConcluded": "Apache-2.0", "primaryPackagePurpose": "APPLICATION"})
    uses = [*debian_packages(), *pinned_packages(), *carried_data()]
    packages = [own, *(one for one, _ in uses)]
    digest = hashlib.sha256(json.dumps(packages, sort_keys=True).encode()).hexdigest()
    seconds = int(os.environ.get("SOURCE_DATE_EPOCH") or output_of("git", "log", "-1", "--format=%ct") or 0)
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"meridian-{version}",
        "documentNamespace": f"https://meridian.example/spdx/meridian-{version}-{digest}",
        "creationInfo": {
            "created": datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "creators": ["Organization: Meridian", f"Tool: make_sbom.py-{version}"],
        },
        "packages": packages,
        "relationships": [
            {"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": ROOT_ID},
            *(relationship(use, one["SPDXID"]) for one, use in uses),
        ],
    }


def main():
    text = json.dumps(document(), indent=1, ensure_ascii=False) + "\n"
    if len(sys.argv) < 2:
        sys.stdout.write(text)
        return
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        file.write(text)
    print(f"{sys.argv[1]}: {text.count('SPDXID') - 1} packages")


main()
