"""Exact root isolation, against polynomials made from roots that are known."""

from __future__ import annotations

import math
from fractions import Fraction

import mpmath
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toylin.landscape._integer_polynomials import (
    _coprime_modulo,
    add,
    at_dyadic,
    divide,
    divisor,
    multiply,
    squarefree,
)
from toylin.landscape._real_roots import RealRoot, real_roots


def linear(root: Fraction):
    return (-root.numerator, root.denominator)


rationals = st.builds(
    lambda m, d, e: Fraction(m, d) * Fraction(2) ** e,
    st.integers(-50, 50),
    st.integers(1, 12),
    st.sampled_from([-300, -2, 0, 1, 60]),
)
# x² + b x + c without real roots.
quadratics = st.builds(
    lambda b, more: (b * b + more, 2 * b, 1), st.integers(-9, 9), st.integers(1, 99)
)


@given(
    known=st.dictionaries(rationals, st.integers(1, 3), max_size=4),
    complex_pairs=st.lists(quadratics, max_size=2),
    factor=st.sampled_from([1, -3, 1 << 90]),
)
def test_every_root_once_with_its_multiplicity(known, complex_pairs, factor):
    powers = [linear(r) for r, times in known.items() for _ in range(times)]
    polynomial = multiply((factor,), *powers, *complex_pairs)
    found = real_roots(polynomial)
    assert len(found) == len(known)
    left = dict(known)
    for root in found:
        nearest = min(left, key=lambda r: abs(r - root.value()))
        assert left.pop(nearest) == root.multiplicity
        assert abs(nearest - root.value()) <= abs(nearest) / 2**120
        assert root.value_of(linear(nearest)) == 0
        assert root.value_of((nearest.denominator - nearest.numerator, nearest.denominator)) != 0


@given(
    middle=rationals.filter(bool),
    bits=st.sampled_from([5, 60, 200, 700]),
    far=rationals,
)
def test_roots_that_almost_meet_are_told_apart(middle, bits, far):
    near = middle * (1 + Fraction(1, 1 << bits))
    polynomial = multiply(linear(middle), linear(near), linear(far))
    distinct = sorted({middle, near, far})
    found = sorted((r.value(bits + 64), r.multiplicity) for r in real_roots(polynomial))
    assert len(found) == len(distinct)
    for (value, _), known in zip(found, distinct, strict=True):
        assert abs(value - known) <= abs(known) / 2 ** (bits + 60)


def test_irrational_roots_and_values_at_them():
    # (x² - 2)² (x³ - 5): +-sqrt(2) twice, the cube root of 5 once.
    polynomial = multiply((-2, 0, 1), (-2, 0, 1), (-5, 0, 0, 1))
    simple, low, high = real_roots(polynomial)
    assert (simple.multiplicity, low.multiplicity, high.multiplicity) == (1, 2, 2)
    with mpmath.workdps(60):
        for root, known in ((simple, mpmath.cbrt(5)), (high, mpmath.sqrt(2))):
            value = root.value(180)
            ratio = mpmath.mpf(value.numerator) / value.denominator / known
            assert abs(ratio - 1) < mpmath.mpf(2) ** -179
        assert high.value_of((-2, 0, 1)) == low.value_of(multiply((-2, 0, 1), (7, 1))) == 0
        # x² - 2 + 2^-400 has no root in common, though it is zero to any ordinary precision.
        tiny = high.value_of((1 - (2 << 400), 0, 1 << 400))
        assert abs(tiny - 1) < Fraction(1, 2**79)
        product = simple.value_of((1, 1, 1))
        exact = 1 + mpmath.cbrt(5) + mpmath.cbrt(25)
        assert abs(mpmath.mpf(product.numerator) / product.denominator / exact - 1) < 1e-23


def test_an_interval_is_as_narrow_as_is_asked():
    *_, root = real_roots((-2, 0, 1))
    start = RealRoot((-2, 0, 1), 1, 0)
    for bits in (*range(40), 300):
        narrow = start.refined(bits)
        assert narrow.low > 1 << bits  # of width 1, in its units
        assert narrow.low <= root.value(400) / Fraction(2) ** narrow.exponent <= narrow.low + 1


def test_a_constant_of_one_bounds_a_root():
    (root,) = real_roots((1, 0, 0, 3 << 120))
    assert abs(3 * (root.value() * 2**40) ** 3 + 1) < Fraction(1, 2**120)


def test_the_root_of_the_interval_beside_is_no_root_in_common():
    ours, beside = (-1, 3), (-4, 3)  # 1/3 and 4/3
    root = RealRoot(multiply(ours, beside), 0, 0)
    assert root._is_root_of(ours)
    assert not root._is_root_of(beside)
    assert root.value_of((7,)) == 7


@pytest.mark.parametrize("polynomial", [(1, 0, 1), (7,), (1, 0, 0, 0, 1)])
def test_no_real_root(polynomial):
    assert real_roots(polynomial) == []


def test_the_zero_polynomial_is_refused():
    with pytest.raises(ValueError, match="zero polynomial"):
        real_roots(())


polynomials = st.lists(st.integers(-(10**30), 10**30), min_size=1, max_size=5).map(
    lambda c: (*c, 3)
)


@given(a=polynomials, b=polynomials, x=st.integers(-9, 9), e=st.integers(-3, 3))
def test_arithmetic_of_polynomials(a, b, x, e):
    def at(polynomial):
        value, scale = at_dyadic(polynomial, x, e)
        return value * Fraction(2) ** scale

    point = x * Fraction(2) ** e
    assert at(a) == sum(c * point**k for k, c in enumerate(a))
    assert at(multiply(a, b)) == at(a) * at(b)
    assert at(add(a, b)) == at(a) + at(b)
    content = math.gcd(*a)
    assert divide(multiply(a, b), b) == tuple(c // content for c in a)
    common = divisor(multiply(a, b), multiply(a, (1, 1)))
    assert divide(common, a)[-1] > 0
    assert len(common) in (len(a), len(a) + (divisor(b, (1, 1)) == (1, 1)))


def test_a_prime_tells_that_there_is_no_common_divisor():
    """What saves the exact algorithm, whose result is the same."""
    assert _coprime_modulo((-5, 0, 0, 1), (3, 1, 7))
    assert _coprime_modulo((3, 1, 7), (2, 0, 5, 11))
    assert _coprime_modulo((1 << 70, 1), (1, 3 << 65, 5))
    assert not _coprime_modulo(multiply((2, 3), (5, 0, 7)), multiply((2, 3), (11, 13)))


def test_common_divisors_that_a_prime_cannot_tell():
    prime = (1 << 61) - 1
    # Modulo the prime both are x, or the first is of lower degree; they have no common divisor.
    assert divisor((prime, 1), (2 * prime, 1)) == (1,)
    assert divisor((1, 1, prime), (1, 1)) == (1,)
    # Modulo the prime the common divisor is constant.
    common = (1, prime)
    assert divisor(multiply(common, (2, 1)), multiply(common, (3, 1))) == common
    assert list(squarefree((prime**2, 2 * prime, 1))) == [((prime, 1), 2)]
