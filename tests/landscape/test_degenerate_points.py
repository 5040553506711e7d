"""Losses of the form that is solved for, made to have points that meet, or not to grow."""

from __future__ import annotations

import numpy as np
import pytest

from toylin.landscape import ExactPolynomial
from toylin.landscape._solve import grows, solved


def pitchfork(shift: int, bits: int, less: int = 0) -> ExactPolynomial:
    """L_p = L_q = 0 at p = 1, q = 2, on a diagonal, but for ``shift`` 2^-``bits`` in L_p."""
    one = 1 << bits
    a0 = (0, (2 * less - 14) * one + shift, -less * one, 0, 0, 0, one)
    return ExactPolynomial(a0, (-8 * one,), (one, 0, one), one)


@pytest.mark.parametrize("side", [1, -1])
def test_a_root_on_a_diagonal_is_found_once(side):
    loss = pitchfork(0, 0)
    found = solved(loss._replace(a0=tuple(c * side**k for k, c in enumerate(loss.a0))))
    flat = found.points[found.degenerate]
    np.testing.assert_array_equal(np.sort(flat, axis=0), [[-1, -1], [1, 1]])
    np.testing.assert_array_equal(np.prod(flat, axis=1), [side, side])
    # L_qq = 4, so that the flat direction is across, and along it the loss is curved by 2 f''(1).
    assert np.sort(np.abs(found.eigenvalues[found.degenerate]), axis=1)[:, 0].tolist() == [0, 0]
    without = [tuple(w) for w in found.points[~found.degenerate]]
    assert len(set(without)) == len(without)


@pytest.mark.parametrize("bits", [20, 300])
def test_points_that_split_off_a_diagonal_are_counted_however_near(bits):
    counts = [len(solved(pitchfork(shift, bits)).points) for shift in (-1, 1)]
    assert abs(counts[0] - counts[1]) == 4
    assert not any(np.any(solved(pitchfork(shift, bits)).degenerate) for shift in (-1, 1))


@pytest.mark.parametrize("less", [0, 100])
@pytest.mark.parametrize("unit", [1, 10**4])
def test_the_other_eigenvalue_of_points_that_split_off_a_diagonal(less, unit):
    at = solved(pitchfork(0, 0, less))
    (want,) = {x for x in at.eigenvalues[at.degenerate].ravel().tolist() if x}
    near = [pitchfork(shift, 300, less) for shift in (-1, 1)]
    for found in (solved(x._replace(denominator=x.denominator * unit)) for x in near):
        there = np.all(np.abs(np.abs(found.points) - 1) < 1e-9, axis=1)
        there &= np.prod(found.points, axis=1) > 0
        large = np.abs(found.eigenvalues[there]).max(axis=1)
        assert len(large) in (2, 6)
        np.testing.assert_allclose(large * unit, abs(want), rtol=1e-14)


def test_a_double_root_along_a_diagonal_is_found_once():
    # f = a_0 + 2 u a_1 + 4 u² a_2 on the diagonal, made to have f' = 60 (u - 1)² (u³ + 3).
    f = np.array([0, 180, -180, 60, 15, -24, 10])
    a1, a2 = np.array([-1]), np.array([1, 0, 1])
    a0 = f - [0, 2 * a1[0], 4 * a2[0], 0, 4 * a2[2], 0, 0]
    found = solved(ExactPolynomial(*(tuple(map(int, a)) for a in (a0, a1, a2)), 1))
    flat = found.degenerate
    np.testing.assert_array_equal(np.sort(found.points[flat], axis=0), [[-1, -1], [1, 1]])
    # Across, the Hessian is 4 a_1 + 16 u a_2 = 28.
    assert found.eigenvalues[flat].tolist() == [[0.0, 28.0]] * 2


def test_a_double_root_off_the_diagonals_is_found_once():
    # q = 4 / (1 + p²), and V' = a_0' + 32 p / (1 + p²)² has a double root at p = 1/2.
    a0 = (0, -14884, -5971, 0, 0, 0, 2000)
    found = solved(ExactPolynomial(a0, (-16000,), (2000, 0, 2000), 2000))
    flat = found.points[found.degenerate]
    assert len(flat) == 4
    np.testing.assert_allclose(flat[:, 0] * flat[:, 1], 0.5, rtol=1e-15)
    np.testing.assert_allclose(np.sum(flat**2, axis=1), 3.2, rtol=1e-15)
    assert np.all(found.eigenvalues[found.degenerate, 0] == 0)
    assert np.all(found.eigenvalues[found.degenerate, 1] > 0)


@pytest.mark.parametrize(
    ("a0", "a1", "a2", "growing"),
    [
        ((0, 0, 1), (1,), (1, 0, 1), True),
        ((0, 0, 2), (1,), (4, -3, 1), True),  # a_2 has no root: 9 < 16
        ((0, 0, 2), (1,), (4, -4, 1), False),  # a double one
        ((0, 0, 2), (1,), (1, -2, 3), True),  # 4 < 12
        ((0, 0, 2), (1,), (3, -3, 1), True),  # 9 < 12
        ((0, 0, 2), (1,), (7, -3, 0), False),
        ((0, 0, 2), (1,), (-3, 1, -1), False),
        ((0, 0, 2), (1,), (3, -4, 1), False),  # 16 > 12
        ((0, 0, -1), (1,), (1, 0, 1), False),
        ((0, 1), (1,), (1, 0, 1), False),  # V falls to one side
        ((0, 0, 0, 1), (1,), (1, 0, 1), False),
        ((1,), (1,), (1, 0, 1), False),  # V goes to a constant
    ],
)
def test_whether_a_loss_grows_in_every_direction(a0, a1, a2, growing):
    assert grows(ExactPolynomial(a0, a1, a2, 1)) == growing
    # At the best q, on a large circle of p: V, and that a_2 is positive throughout.
    p = np.array([-1e4, 1e4])
    value = {x: sum(c * x**k for k, c in enumerate(a0)) for x in p}
    far = min(value[x] - a1[0] ** 2 / 4 / np.polyval(a2[::-1], x) for x in p)
    positive = np.polyval(a2[::-1], np.linspace(-9, 9, 181)).min() > 1e-9
    assert (far > 1e3 and positive and a2[2] > 0) == growing
