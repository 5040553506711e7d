"""Polynomials with integer coefficients: products, exact quotients, common divisors.

A polynomial is the tuple of its coefficients, the constant first and the last not zero; the zero
polynomial is ().
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import TypeAlias

Coefficients: TypeAlias = tuple[int, ...]

# A prime: polynomials with no common divisor modulo it have none.
_PRIME = (1 << 61) - 1


def trimmed(coefficients: Iterable[int]) -> Coefficients:
    """Without the zeros in front of the highest power."""
    c = list(coefficients)
    while c and c[-1] == 0:
        c.pop()
    return tuple(c)


def add(*polynomials: Coefficients) -> Coefficients:
    """The sum."""
    return trimmed(map(sum, zip_longest(*polynomials, fillvalue=0)))


def multiply(*polynomials: Coefficients) -> Coefficients:
    """The product."""
    product = [1]
    for factor in polynomials:
        if not factor:
            return ()
        out = [0] * (len(product) + len(factor) - 1)
        for i, a in enumerate(product):
            for k, b in enumerate(factor):
                out[i + k] += a * b
        product = out
    return tuple(product)


def derivative(polynomial: Coefficients) -> Coefficients:
    """The derivative."""
    return tuple(k * c for k, c in enumerate(polynomial))[1:]


def mirrored(polynomial: Coefficients) -> Coefficients:
    """The polynomial of -x."""
    return tuple(-c if k % 2 else c for k, c in enumerate(polynomial))


def sign(number: int) -> int:
    """-1, 0 or 1."""
    return (number > 0) - (number < 0)


def at_dyadic(polynomial: Coefficients, m: int, exponent: int) -> tuple[int, int]:
    """The value at m 2^exponent, as an integer and the exponent of two that it is times."""
    if exponent >= 0:
        m, exponent = m << exponent, 0
    value = 0
    for k, c in enumerate(reversed(polynomial)):
        value = value * m + (c << (-exponent * k))
    return value, exponent * max(len(polynomial) - 1, 0)


def primitive(polynomial: Coefficients) -> Coefficients:
    """Divided by the common divisor of its coefficients; the highest becomes positive."""
    if not polynomial:
        return ()
    content = math.gcd(*polynomial) * sign(polynomial[-1])
    return tuple(c // content for c in polynomial)


def divide(polynomial: Coefficients, by: Coefficients) -> Coefficients:
    """The quotient up to a constant, primitive, where ``by`` divides without a rest."""
    quotient, rest = [], list(primitive(polynomial))
    by = primitive(by)
    while len(rest) >= len(by):
        # Gauss: a primitive divisor of an integer polynomial has an integer quotient.
        factor, remainder = divmod(rest[-1], by[-1])
        assert remainder == 0
        quotient.append(factor)
        shift = len(rest) - len(by)
        rest = [c - factor * by[k - shift] if k >= shift else c for k, c in enumerate(rest)][:-1]
    assert not any(rest)
    return primitive(tuple(reversed(quotient)))


def divisor(first: Coefficients, second: Coefficients) -> Coefficients:
    """The greatest common divisor, primitive: (1,) where there is none."""
    first, second = primitive(first), primitive(second)
    if first and second and _coprime_modulo(first, second):
        return (1,)
    while second:
        first, second = second, primitive(_pseudo_remainder(first, second))
    return first


def squarefree(polynomial: Coefficients) -> Iterator[tuple[Coefficients, int]]:
    """Factors without double roots, and how often each divides: Yun's algorithm."""
    polynomial = primitive(polynomial)
    repeated = divisor(polynomial, derivative(polynomial))
    rest, multiplicity = divide(polynomial, repeated), 1
    while len(rest) > 1:
        common = divisor(rest, repeated)
        factor = divide(rest, common)
        if len(factor) > 1:
            yield factor, multiplicity
        rest, repeated = common, divide(repeated, common)
        multiplicity += 1


def _pseudo_remainder(first: Coefficients, second: Coefficients) -> Coefficients:
    rest, lead = list(first), second[-1]
    while len(rest) >= len(second):
        factor, shift = rest[-1], len(rest) - len(second)
        rest = [lead * c for c in rest]
        for k, c in enumerate(second):
            rest[k + shift] -= factor * c
        rest = list(trimmed(rest))
    return tuple(rest)


def _coprime_modulo(first: Coefficients, second: Coefficients) -> bool:
    """Whether a prime proves that no polynomial divides both; False proves nothing."""
    if first[-1] % _PRIME == 0:
        return False
    a, b = (trimmed(c % _PRIME for c in f) for f in (first, second))
    while b:
        inverse = pow(b[-1], -1, _PRIME)
        rest = list(a)
        while len(rest) >= len(b):
            factor, shift = rest[-1] * inverse % _PRIME, len(rest) - len(b)
            for k, c in enumerate(b):
                rest[k + shift] = (rest[k + shift] - factor * c) % _PRIME
            rest = list(trimmed(rest))
        a, b = b, tuple(rest)
    return len(a) == 1
