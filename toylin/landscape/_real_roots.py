"""The real roots of a polynomial with integer coefficients, each isolated and counted exactly.

A polynomial is the tuple of its integer coefficients, the constant first and the last not zero;
the zero polynomial is (). No floating-point number occurs: roots are enclosed in intervals
(low, low + 1) 2^exponent, found by Descartes' rule of signs with bisection (Vincent, Collins and
Akritas), which ends for polynomials without double roots; those are split off first.

Source: Collins and Akritas, "Polynomial real root isolation using Descartes' rule of signs",
SYMSAC 1976; Abbott, "Quadratic interval refinement for real roots", 2006.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

from toylin.landscape._integer_polynomials import (
    Coefficients,
    at_dyadic,
    derivative,
    divide,
    divisor,
    mirrored,
    sign,
    squarefree,
)


@dataclass(frozen=True)
class RealRoot:
    """One real root: the only one of ``polynomial`` in the open interval, or its lower end.

    Attributes:
        polynomial: without double roots, and with no root at the ends of the interval.
        low, exponent: the interval (low, low + 1) 2^exponent.
        exact: the root is low 2^exponent itself.
        multiplicity: in the polynomial that was solved.
    """

    polynomial: Coefficients
    low: int
    exponent: int
    exact: bool = False
    multiplicity: int = 1

    def refined(self, bits: int) -> RealRoot:
        """The same root in an interval of relative width below 2^-``bits``."""
        root, step = self, 1
        while not root.exact and abs(root.low).bit_length() <= bits + 1:
            finer = root._narrowed(step)
            step = max(1, step // 2) if finer is None else 2 * step
            root = finer or root
        return root

    def middle(self) -> tuple[int, int]:
        """m and e of a point m 2^e in the interval: its middle, or the root where it is exact."""
        return (self.low, self.exponent) if self.exact else (2 * self.low + 1, self.exponent - 1)

    def value(self, bits: int = 128) -> Fraction:
        """The root, to a relative 2^-``bits``."""
        return _fraction(*self.refined(bits).middle())

    def value_of(self, other: Coefficients, bits: int = 80) -> Fraction:
        """Another polynomial at this root, to a relative 2^-``bits``; zero only if it is zero."""
        if self.exact or not other:
            return _fraction(*at_dyadic(other, self.low, self.exponent))
        slope = derivative(tuple(abs(c) for c in other))
        root, precision, apart = self, 128, False
        while True:
            root = root.refined(precision)
            m, e = root.middle()
            value, scale = at_dyadic(other, m, e)
            # The root is within 2^e of the middle; the slope is at most that of the absolute terms.
            bound, bound_scale = at_dyadic(slope, abs(m) + 1, e)
            if abs(_fraction(value, scale)) >= _fraction(bound, bound_scale + e + bits):
                return _fraction(value, scale)
            if not apart and self._is_root_of(other):
                return Fraction(0)
            apart, precision = True, 2 * precision

    def _is_root_of(self, other: Coefficients) -> bool:
        common = divisor(self.polynomial, other)
        if len(common) == 1:
            return False
        return self._sign(common, self.low) != self._sign(common, self.low + 1)

    def _sign(self, polynomial: Coefficients, position: int) -> int:
        return sign(at_dyadic(polynomial, position, self.exponent)[0])

    def _narrowed(self, step: int) -> RealRoot | None:
        """The part, one of 2^``step``, where a secant sees the root; None if it is not there."""
        left = at_dyadic(self.polynomial, self.low, self.exponent)[0]
        right = at_dyadic(self.polynomial, self.low + 1, self.exponent)[0]
        guess = 1 if step == 1 else (left << step) // (left - right)  # signs differ: below 2^step
        start = (self.low << step) + guess
        finer = replace(self, low=start, exponent=self.exponent - step)
        signs = [finer._sign(self.polynomial, start + k) for k in (0, 1)]
        for k in (0, 1):
            if signs[k] == 0:
                return replace(finer, low=start + k, exact=True)
        if signs[0] == sign(left) and signs[1] == sign(right):
            return finer
        # Halves: what is not in the upper one is in the lower.
        return replace(finer, low=start - 1) if step == 1 else None


def real_roots(polynomial: Coefficients) -> list[RealRoot]:
    """Every real root once, with its multiplicity; ascending within each multiplicity.

    Each is refined to a relative 2^-128.

    Raises:
        ValueError: the zero polynomial.
    """
    if not polynomial:
        raise ValueError("every number is a root of the zero polynomial")
    found = []
    for factor, multiplicity in squarefree(polynomial):
        roots = (replace(r.refined(128), multiplicity=multiplicity) for r in _isolated(factor))
        found += sorted(roots, key=RealRoot.value)
    return found


def _isolated(polynomial: Coefficients) -> Iterator[RealRoot]:
    """The real roots of a polynomial without double ones."""
    if polynomial[0] == 0:
        polynomial = polynomial[1:]
        yield RealRoot((0, 1), 0, 0, exact=True)
    yield from _positive(polynomial)
    for root in _positive(mirrored(polynomial)):
        low = -root.low if root.exact else -root.low - 1
        yield replace(root, low=low, polynomial=mirrored(root.polynomial))


def _positive(polynomial: Coefficients) -> Iterator[RealRoot]:
    """The positive roots; one that bisection hits is divided out, and the rest begun again."""
    reach = _reach(polynomial)
    unit = _stretched(polynomial, reach)
    stack, found = [(unit, 0, 0)], []
    while stack:
        piece, low, depth = stack.pop()
        changes = _sign_changes(_shifted(piece[::-1]))
        if changes == 1:
            found.append(RealRoot(polynomial, low, reach - depth))
        elif changes > 1:
            left = tuple(c << (len(piece) - 1 - k) for k, c in enumerate(piece))
            right = _shifted(left)
            if right[0] == 0:
                root = RealRoot(polynomial, 2 * low + 1, reach - depth - 1, exact=True)
                yield root
                yield from _positive(_without(polynomial, root))
                return
            stack += [(left, 2 * low, depth + 1), (right, 2 * low + 1, depth + 1)]
    yield from found


def _without(polynomial: Coefficients, root: RealRoot) -> Coefficients:
    m, e = root.low, root.exponent
    return divide(polynomial, (-m, 1 << -e) if e < 0 else (-(m << e), 1))


def _reach(polynomial: Coefficients) -> int:
    """The power of two above every root: 2 max |c_(n-k) / c_n|^(1/k), Fujiwara's bound."""
    n, lead = len(polynomial) - 1, abs(polynomial[-1]).bit_length()
    powers = [
        -((lead - 1 - abs(c).bit_length()) // (n - k))
        for k, c in enumerate(polynomial[:-1])
        if c != 0
    ]
    return 1 + max(powers, default=0)


def _stretched(polynomial: Coefficients, power: int) -> Coefficients:
    """The polynomial of 2^``power`` x, times what makes it one of integers."""
    n = len(polynomial) - 1
    return tuple(
        c << (power * k if power >= 0 else -power * (n - k)) for k, c in enumerate(polynomial)
    )


def _shifted(polynomial: Sequence[int]) -> Coefficients:
    """The polynomial of x + 1."""
    c = list(polynomial)
    for first in range(len(c) - 1):
        for k in range(len(c) - 2, first - 1, -1):
            c[k] += c[k + 1]
    return tuple(c)


def _sign_changes(polynomial: Sequence[int]) -> int:
    signs = [c > 0 for c in polynomial if c != 0]
    return sum(a != b for a, b in pairwise(signs))


def _fraction(m: int, exponent: int) -> Fraction:
    return Fraction(m << exponent) if exponent >= 0 else Fraction(m, 1 << -exponent)
