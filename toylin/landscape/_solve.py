"""All critical points of two scalar layers after one step, as the roots of three polynomials.

The outer loss is L(p, q) = a_0(p) + a_1(p) q + a_2(p) q² with p = w_1 w_2, q = w_1² + w_2²
(``exact_polynomial``). Its gradient (w_2 L_p + 2 w_1 L_q, w_1 L_p + 2 w_2 L_q) vanishes at the
origin; on the diagonals w_2 = +-w_1, where u = w_1² is a root of f', f(u) = L(+-u, 2 u); and where
L_p = L_q = 0. There q = -a_1 / (2 a_2), since a_2 is positive, and what is left of L_p is a
polynomial in p: R = 4 a_2² a_0' - 2 a_1 a_1' a_2 + a_1² a_2' = 4 a_2² V', V = a_0 - a_1² / (4 a_2);
real weights have q > 2 |p|. So every critical point is a real root of one of three polynomials.

The signs of the Hessian's eigenvalues are exact too: at the origin they are 2 a_1(0) +- a_0'(0); on
a diagonal 2 u f''(u) along it and 4 a_1 + 16 u a_2 across; elsewhere their product is
(q² - 4 p²) 2 R' / a_2, and as L_qq > 0 they are not both negative.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from toylin.landscape._critical_points import CriticalPoints
from toylin.landscape._integer_polynomials import (
    Coefficients,
    add,
    derivative,
    mirrored,
    multiply,
)
from toylin.landscape._real_roots import RealRoot, real_roots
from toylin.landscape._scalar_polynomial import ExactPolynomial, exact_polynomial
from toylin.rules import MAML
from toylin.tasks import LinearRegression


class _Orbit(NamedTuple):
    """A critical point with its mirror images (w_2, w_1), -w and -(w_2, w_1)."""

    images: list[tuple[float, float]]
    loss: float
    eigenvalues: tuple[float, float]


def solve_critical_points(tasks: LinearRegression, rule: MAML) -> CriticalPoints:
    """All critical points of the exact outer loss of two scalar layers after one step.

    They are the real roots of three polynomials, whose coefficients are computed exactly from the
    settings; the roots are isolated and counted exactly, in integers, by Descartes' rule of signs.
    So none is lost and none is there twice, however close to another it is. Points, losses and
    eigenvalues are rounded to float64 at the end; points closer than that can become equal.

    A point is degenerate (at a bifurcation, exactly) where an eigenvalue is exactly zero;
    ``CriticalPoints.kind`` says so. Where none is, the loss grows at infinity in every direction,
    so that minima - saddles + maxima must be 1, which is checked.

    Args:
        tasks: scalar linear regression: any mean, covariances, noise and number of shots. Arrays
            and numbers of float32 are taken for the rational numbers that they are.
        rule: one step of MAML, of any size but 0. First-order MAML has the same outer loss.

    Returns:
        The points, sorted by loss, with ``certified=True``.

    Raises:
        ValueError: as ``exact_polynomial``.
        OverflowError: a value that float64 cannot hold.

    >>> len(solve_critical_points(LinearRegression(theta_mean=3.0), MAML(0.001)).points)
    27
    """
    return solved(exact_polynomial(tasks, rule))


def solved(loss: ExactPolynomial) -> CriticalPoints:
    """The critical points of a loss of that form that grows at infinity, with a_2 positive."""
    orbits = [_origin(loss), *_on_diagonal(loss, 1), *_on_diagonal(loss, -1), *_elsewhere(loss)]
    require_index_one(orbits, grows(loss))
    rows = sorted(
        ((o.loss, image, o.eigenvalues) for o in orbits for image in o.images),
        key=lambda row: row[0],
    )
    values, points, eigenvalues = (np.array(column) for column in zip(*rows, strict=True))
    return CriticalPoints(points, values, eigenvalues, np.sum(eigenvalues < 0, axis=1), True)


def grows(loss: ExactPolynomial) -> bool:
    """Whether the loss grows at infinity in every direction, exactly.

    At fixed p it is lowest at V(p) = (4 a_0 a_2 - a_1²) / (4 a_2) and grows with q as a_2 q²; so it
    does where a_2 is positive and V grows.
    """
    lowest = _envelope(loss)
    c, b, a = loss.a2
    positive = a > 0 and b * b < 4 * a * c
    return positive and len(lowest) > 3 and len(lowest) % 2 == 1 and lowest[-1] > 0


def require_index_one(orbits: list[_Orbit], growing: bool) -> None:
    """The index theorem: the gradient points outward on a large circle, which it winds about once.

    Raises:
        ArithmeticError: it fails, which a correct solution cannot.
    """
    if any(0.0 in o.eigenvalues for o in orbits):
        return
    total = sum(
        len(o.images) * (-1 if o.eigenvalues[0] < 0 < o.eigenvalues[1] else 1) for o in orbits
    )
    if not growing or total != 1:
        raise ArithmeticError(
            f"critical points fail the index theorem: minima - saddles + maxima = {total}, not 1"
        )


def _origin(loss: ExactPolynomial) -> _Orbit:
    along = [Fraction(2 * loss.a1[0] + k * loss.a0[1], loss.denominator) for k in (-1, 1)]
    value = Fraction(loss.a0[0], loss.denominator)
    return _Orbit([(0.0, 0.0)], _float(value), _ascending(*along))


def _on_diagonal(loss: ExactPolynomial, side: int) -> Iterator[_Orbit]:
    """w_2 = ``side`` w_1: p = side u, q = 2 u."""
    a0, a1, a2 = (a if side == 1 else mirrored(a) for a in loss[:3])
    along = add(a0, multiply((0, 2), a1), multiply((0, 0, 4), a2))
    across = add(a1, multiply((0, 4), a2))
    slope = derivative(along)
    for u in real_roots(slope):
        size = u.value()
        if size <= 0:
            continue
        curvature = 2 * size * u.value_of(derivative(slope))
        eigenvalues = (curvature / loss.denominator, 4 * u.value_of(across) / loss.denominator)
        r = _float(_root(size))
        value = u.value_of(along) / loss.denominator
        yield _Orbit([(r, side * r), (-r, -side * r)], _float(value), _ascending(*eigenvalues))


def _elsewhere(loss: ExactPolynomial) -> Iterator[_Orbit]:
    """L_p = L_q = 0, off the diagonals: (w_1 +- w_2)² = q +- 2 p are both positive."""
    _, a1, a2, denominator = loss
    eliminated = _eliminated(loss)
    odd, even = multiply((0, 4), a2), tuple(-c for c in a1)
    for p in real_roots(eliminated):
        below = 2 * p.value_of(a2)
        plus = p.value_of(add(even, odd)) / below
        minus = p.value_of(add(even, tuple(-c for c in odd))) / below
        if plus <= 0 or minus <= 0:
            continue  # on a diagonal, where it is found already, or no real weights
        value = p.value_of(_envelope(loss)) / (2 * below * denominator)
        curvatures = _curvatures(loss, p, plus, minus)
        yield _Orbit(_four(p.value(), plus, minus), _float(value), curvatures)


def _envelope(loss: ExactPolynomial) -> Coefficients:
    """4 a_2 V = 4 a_0 a_2 - a_1², V the loss at the best q."""
    a0, a1, a2, _ = loss
    return add(multiply((4,), a0, a2), multiply((-1,), a1, a1))


def _eliminated(loss: ExactPolynomial) -> Coefficients:
    """4 a_2² V'."""
    a0, a1, a2, _ = loss
    return add(
        multiply((4,), derivative(a0), a2, a2),
        multiply((-2,), a1, derivative(a1), a2),
        multiply(a1, a1, derivative(a2)),
    )


def _four(p: Fraction, plus: Fraction, minus: Fraction) -> list[tuple[float, float]]:
    """The points with that product whose sum and difference have those squares."""
    first = (_root(plus) + _root(minus)) / 2
    large, small = _float(first), _float(p / first)
    return [(large, small), (small, large), (-large, 0.0 - small), (0.0 - small, -large)]


def _curvatures(
    loss: ExactPolynomial, p: RealRoot, plus: Fraction, minus: Fraction
) -> tuple[float, float]:
    """Eigenvalues from their sum L_pp q + 8 p L_pq + 4 q L_qq and their product."""
    a0, a1, a2, denominator = loss
    at, q = p.value(), (plus + minus) / 2
    second = [p.value_of(derivative(derivative(a))) for a in (a0, a1, a2)]
    l_qq = 2 * p.value_of(a2)
    l_pp = second[0] + second[1] * q + second[2] * q * q
    l_pq = p.value_of(derivative(a1)) + 2 * p.value_of(derivative(a2)) * q
    total = (l_pp * q + 8 * at * l_pq + 4 * q * l_qq) / denominator
    slope = p.value_of(derivative(_eliminated(loss))) / denominator**2
    product = 4 * plus * minus * slope / l_qq
    apart = _root(max(total**2 - 4 * product, Fraction(0)))
    larger = (total + (apart if total > 0 else -apart)) / 2
    return _ascending(product / larger, larger)


def _ascending(first: Fraction, second: Fraction) -> tuple[float, float]:
    low, high = sorted((first, second))
    return _float(low), _float(high)


def _root(square: Fraction) -> Fraction:
    """The square root to a relative 2^-127, whatever its size."""
    size = square.numerator.bit_length() - square.denominator.bit_length()
    shift = 128 - size // 2
    scaled = square * Fraction(4) ** shift
    return Fraction(math.isqrt(math.floor(scaled))) / Fraction(2) ** shift


def _float(value: Fraction) -> float:
    """Rounded, and never to zero: signs are exact."""
    try:
        rounded = float(value)
    except OverflowError:
        raise OverflowError("a critical point of these settings is beyond float64") from None
    return rounded if rounded or not value else math.copysign(5e-324, value)
