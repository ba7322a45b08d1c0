#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fails when the code does what the documents' inventories do not tell of, or the other way round.

communications  docs/security.md lists every source file that opens a connection or listens
ways_in         docs/security.md lists every way in: pages that need no session, OAuth grants, the control socket
logs            nothing writes a log but base/log.cpp; docs/operations.md lists where it goes
costs           docs/security.md tells what costs much, and bounds that it names are there
randomness      secrets come from the library's generator: no other one in the rooms that make them
secrets         no private key lies in the tree
scripts         the pages' scripts set no member by a computed name, and make no code out of text
bounds          limits of trust stand in src/trust/limits.hpp
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


# Names that end like a bound and are none: rules, formats of a specification, units, sizes of a buffer.
NO_BOUNDS = {
    "src/trust/accounts/password.cpp": {"tail_max", "word_min"},  # what counts as a common password
    "src/trust/keys/message_key.cpp": {"nonces_at_once"},  # random bytes fetched together
    "src/trust/merkle/pages.cpp": {"for_seconds"},  # of Cache-Control
    "src/trust/merkle/tiles.cpp": {"levels_max", "level_max", "path_bytes_max", "elements_max"},  # C2SP tlog-tiles
    "src/trust/policy/context.cpp": {"day_milliseconds"},
}


def sources(*folders):
    """Files of the program itself: no tests, nothing for tests."""
    for folder in folders:
        for file in sorted((ROOT / folder).rglob("*.?pp")):
            name = str(file.relative_to(ROOT))
            if not re.search(r"_test\.cpp$|/testing|test_cluster|_test_support|search_world", name):
                yield name, file.read_text(encoding="utf-8")


def section(document, title):
    """The text below a heading of a document, up to the next one of its level."""
    text = (ROOT / document).read_text(encoding="utf-8")
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    return found.group(1) if found else ""


def communications():
    opens = re.compile(r'#include "net/client\.hpp"|\bPQconnect\w*\(|AF_UNIX|SOCK_STREAM|\bacceptor\w*->listen\(')
    using = {name for name, text in sources("src") if opens.search(text)}
    told = set(re.findall(r"`(src/[\w/.]+)`", section("docs/security.md", "Who speaks with whom")))
    for name in sorted(using - told):
        yield f"{name} opens a connection or listens; docs/security.md, \"Who speaks with whom\", does not name it"
    for name in sorted(told - using):
        yield f"docs/security.md, \"Who speaks with whom\", names {name}, which speaks with nobody"


def ways_in():
    told = section("docs/security.md", "Ways in")
    routes = (ROOT / "src/trust/pages/sign_in.cpp").read_text(encoding="utf-8")
    paths = set(re.findall(r'\{Method::post, "([^"]+)", &SignIn::\w+, Door::open', re.sub(r"\s+", " ", routes)))
    tokens = (ROOT / "src/trust/oauth/detail/token_endpoint.cpp").read_text(encoding="utf-8")
    grants = set(re.findall(r'type == "([a-z_:.\-0-9]+)"', tokens))
    control = {"control.sock"}
    if not paths or not grants:
        yield "no way in is found in the code any more: tools/check_inventories.py looks in the wrong place"
    for way in sorted(paths | grants | control):
        if f"`{way}`" not in told:
            yield f"docs/security.md, \"Ways in\", does not tell of `{way}`"


def logs():
    writes = re.compile(r"std::(cerr|cout|clog)\b|fprintf\(stderr|\b(std)?::?printf\(|\bv?syslog\(|STDERR_FILENO|\bperror\(")
    rooms = [f"src/{room}" for room in ("base", "net", "text", "store", "fhir", "trust", "rest", "server")]
    for name, text in sources(*rooms):
        if name != "src/base/log.cpp" and writes.search(text):
            yield f"{name} writes to a standard stream itself: base/log.hpp is the one way into the log"
    told = section("docs/operations.md", "Logs")
    for place in ("standard error", "standard output", "the record's own log", "PostgreSQL", "nginx"):
        if place not in told:
            yield f"docs/operations.md, \"Logs\", does not tell of {place}"


def costs():
    told = section("docs/security.md", "Functions that cost much")
    known = "".join((ROOT / file).read_text(encoding="utf-8") for file in ("src/base/limits.hpp", "src/trust/limits.hpp"))
    for name in re.findall(r"`(\w+_max)`", told):
        if f" {name} =" not in known:
            yield f"docs/security.md, \"Functions that cost much\", names the bound {name}, which is in no limits file"
    for function in ("$export", "$import", "$bulk-submit", "$everything", "transactions", "subscriptions", "password hashing", "search"):
        if function not in told:
            yield f"docs/security.md, \"Functions that cost much\", does not tell of {function}"


def randomness():
    other = re.compile(r"\bmt19937|\brandom_device\b|\bdrand48\b|\bsrand\(|\brand\(|minstd_rand|default_random_engine")
    for name, text in sources("src/trust", "src/net", "src/rest", "src/server", "src/base"):
        if other.search(text):
            yield f"{name} takes random numbers from elsewhere than base/hash.hpp, libsodium or OpenSSL"


def secrets():
    # Of an encrypted one the tests have a cut piece, to be refused.
    mark = "BEGIN (RSA |EC |OPENSSH )?PRIVATE KEY-----"
    done = subprocess.run(["git", "grep", "-lE", mark], cwd=ROOT, capture_output=True, text=True, check=False)
    for name in done.stdout.split():
        body = (ROOT / name).read_text(encoding="utf-8", errors="replace")
        # A marker in a test's own text is no key: a key has lines of base64 behind it.
        if re.search(r"PRIVATE KEY-----\\?n?\"?\s*\"?[A-Za-z0-9+/=]{40,}", body):
            yield f"{name} holds a private key"


def scripts():
    computed = re.compile(r"[\w)\]]\[(?!['\"\d])[^\]]+\]\s*=(?!=)|__proto__|\.prototype\b|Object\.(assign|setPrototypeOf)|\beval\(|new Function|innerHTML|document\.write|for\s*\((const|let|var) \w+ in ")
    for name, text in sources("src/trust", "src/server", "src/rest"):
        for script in re.findall(r'R"js\((.*?)\)js"', text, re.S):
            for found in computed.finditer(script):
                yield f"{name}: the script has \"{found.group()}\""


def bounds():
    bound = re.compile(r"^\s*(?:static )?constexpr (?:auto|int|unsigned|std::\w+|unsigned long long) (\w*(?:_max|_min|_seconds|_minutes|_milliseconds|_at_once|_days|_hours)) =", re.M)
    for name, text in sources("src/trust"):
        if name == "src/trust/limits.hpp":
            continue
        for found in sorted(set(bound.findall(text)) - NO_BOUNDS.get(name, set())):
            yield f"{name}: the bound {found} belongs into src/trust/limits.hpp"


def main():
    faults = [fault for check in (communications, ways_in, logs, costs, randomness, secrets, scripts, bounds) for fault in check()]
    for fault in faults:
        print(fault)
    sys.exit(1 if faults else 0)


main()
