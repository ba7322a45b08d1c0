#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes data/trust/refused_passwords.inc out of data/trust/common_words.txt, of patterns (walks over the keyboard, doubled words, words
joined with each other) and of data/trust/breached_passwords.txt. The program adds its own rules for tails, substitutions, dates and runs
(accounts/password.cpp)."""
import pathlib

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "data" / "trust"
ROWS = ["1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm"]


def walks():
    """Runs along two rows, columns one after the other, zigzags."""
    columns = ["".join(row[i] for row in ROWS if i < len(row)) for i in range(10)]
    for row in ROWS:
        for begin in range(len(row)):
            for end in range(begin + 4, len(row) + 1):
                yield row[begin:end]
                yield row[begin:end][::-1]
                for other in ROWS:
                    if other is not row:
                        yield row[begin:end] + other[begin:end]
                        yield "".join(a + b for a, b in zip(row[begin:end], other[begin:end]))
    for first in range(len(columns)):
        for count in (2, 3, 4):
            part = columns[first:first + count]
            if len(part) < count:
                continue
            yield "".join(part)
            yield "".join(column[::-1] for column in part)
            yield "".join(column if i % 2 == 0 else column[::-1] for i, column in enumerate(part))
            for height in (2, 3):
                yield "".join(column[:height] for column in part)
                yield "".join(column[1:1 + height] for column in part)
                yield "".join(column[:height][::-1] for column in part)


def joined(words):
    """A word twice; two of the very commonest one after the other; digits before a word."""
    common = words[:40]
    for word in words:
        yield word + word
        for head in ("1", "12", "123", "1234", "123456", "a", "my", "the", "woshi", "iam"):
            yield head + word
    for left in common:
        for right in common:
            yield left + right
    for base in ("abc", "abcd", "aaa", "qaz", "wsx", "zxc", "asd", "qwe", "aa", "a", "qq", "zz", "xx", "www"):
        for digits in ("123", "1234", "12345", "123456", "1234567", "12345678", "123456789", "111", "000", "888", "666", "520", "1314", "5201314", "123123", "321"):
            yield base + digits
            yield digits + base
            yield base + digits + base


def words_of(name):
    """The words of a list, each once, without its comments."""
    text = (FOLDER / name).read_text(encoding="utf-8")
    return list(dict.fromkeys(word for line in text.splitlines() if not line.startswith("#") for word in line.split()))


def main():
    words = words_of("common_words.txt")
    found = set(words) | set(words_of("breached_passwords.txt")) | {word for word in walks() if len(word) >= 4} | {word for word in joined(words) if len(word) >= 8}
    lines = sorted(found, key=lambda word: word.encode())
    assert all(word == word.lower() and '"' not in word and "\\" not in word for word in lines)
    out = ["// SPDX-License-Identifier: Apache-2.0", "// Made by tools/refused_passwords.py."]
    body = "\n".join(lines)
    # Literals of a moderate length, which the compiler joins.
    pieces = [lines[at:at + 500] for at in range(0, len(lines), 500)]
    for index, piece in enumerate(pieces):
        end = "\\n" if index + 1 < len(pieces) else ""
        out.append('"' + "\\n".join(piece) + end + '"')
    (FOLDER / "refused_passwords.inc").write_text("\n".join(out) + "\n", encoding="utf-8")
    print(f"{len(words)} words, {len(lines)} lines, {len(body)} bytes, {sum(len(word) >= 8 for word in lines)} of eight characters and more")


main()
