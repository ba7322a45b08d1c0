#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes src/base/testdata/decimal.tsv: what Python's decimal module says about arithmetic that base/decimal.cpp must agree
with. One case a line: operation, left, right or parameter, expected text ("too_large" when 38 digits do not hold it).

Run from the top folder: python3 tools/decimal_vectors.py > src/base/testdata/decimal.tsv
"""
import decimal
import random
from decimal import Decimal
from fractions import Fraction

decimal.getcontext().prec = 400
DIGITS_MAX = 38
CASES_PER_OPERATION = 250
chance = random.Random(20240501)


def number():
    """A number as someone may write it: mostly everyday sizes, sometimes at the edges."""
    kind = chance.random()
    digits = chance.randint(1, 6) if kind < 0.6 else chance.randint(1, 38) if kind < 0.9 else 38
    coefficient = chance.randint(0, 10**digits - 1)
    if chance.random() < 0.2:
        coefficient = coefficient // 10 ** (digits // 2) * 10 ** (digits // 2)
    scale = chance.choice([0, 0, 1, 2, 3, 5, 18, chance.randint(0, 60)])
    text = str(coefficient)
    if scale:
        text = text.rjust(scale + 1, "0")
        text = text[:-scale] + "." + text[-scale:]
    if chance.random() < 0.1:
        text += chance.choice("eE") + chance.choice(["", "+", "-"]) + str(chance.randint(0, 30))
    return chance.choice(["", "", "-"]) + text


def plain(value):
    """The plain text of an exact value, with only as many of its last zeros dropped as 38 digits demand."""
    sign, digits, exponent = value.as_tuple()
    coefficient = int("".join(map(str, digits)))
    while coefficient >= 10**DIGITS_MAX:
        if coefficient % 10:
            return "too_large"
        coefficient //= 10
        exponent += 1
    if coefficient == 0:
        sign = 0
        exponent = min(exponent, 0)
    return format(Decimal((sign, tuple(map(int, str(coefficient))), exponent)), "f")


def quotient(left, right, places):
    exact = Fraction(left) / Fraction(right)
    for kept in range(places, -1, -1):
        scaled = abs(exact) * 10**kept
        rounded = scaled.numerator * 2 // scaled.denominator
        rounded = (rounded + 1) // 2
        if rounded < 10**DIGITS_MAX:
            while kept and rounded % 10 == 0:
                rounded //= 10
                kept -= 1
            return plain(Decimal((int(exact < 0), tuple(map(int, str(rounded))), -kept)))
    return "too_large"


def rounded(value, places):
    if -value.as_tuple().exponent <= places:
        return plain(value)
    return plain(value.quantize(Decimal(1).scaleb(-places), rounding=decimal.ROUND_HALF_UP))


def whole(value, rounding):
    return plain(value if value.as_tuple().exponent >= 0 else value.to_integral_value(rounding=rounding))


def main():
    for _ in range(CASES_PER_OPERATION):
        a, b = number(), number()
        if chance.random() < 0.1:
            b = a
        left, right = Decimal(a), Decimal(b)
        print("text", a, "-", plain(left), sep="\t")
        print("add", a, b, plain(left + right), sep="\t")
        print("subtract", a, b, plain(left - right), sep="\t")
        print("multiply", a, b, plain(left * right), sep="\t")
        print("compare", a, b, (left > right) - (left < right), sep="\t")
        if right:
            print("divide", a, b, quotient(left, right, 18), sep="\t")
            print("remainder", a, b, plain(left % right), sep="\t")
        places = chance.randint(0, 8)
        print("round", a, places, rounded(left, places), sep="\t")
        print("truncate", a, "-", whole(left, decimal.ROUND_DOWN), sep="\t")
        print("floor", a, "-", whole(left, decimal.ROUND_FLOOR), sep="\t")
        print("ceiling", a, "-", whole(left, decimal.ROUND_CEILING), sep="\t")


if __name__ == "__main__":
    main()
