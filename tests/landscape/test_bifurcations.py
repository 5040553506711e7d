"""Bifurcations, against conditions written out by hand and against counts on fine grids."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import toylin as tl
from toylin.landscape import CriticalPoints


def by_step_size(**law):
    tasks = tl.LinearRegression(**law)
    return lambda alpha: tl.solve_critical_points(tasks, tl.MAML(alpha))


def by_mean(step_size):
    return lambda mu: tl.solve_critical_points(
        tl.LinearRegression(theta_mean=mu), tl.MAML(step_size)
    )


def test_the_landscape_bifurcates_as_the_step_size_grows():
    (found,) = tl.find_bifurcations(by_step_size(), np.geomspace(0.02, 2.0, 12).tolist())
    assert (found.below, found.above, found.kind) == ((4, 8, 5), (4, 4, 1), "fold")
    # On the diagonal, where tau = s = 1, alpha = a and u = r²: the coefficients of
    # 2 f = E (e + a² g² u - 2 a g u)², e = g = u - theta, and the discriminant of f'.
    p = np.polynomial.Polynomial([0.0, 1.0])
    e2, e3, e4 = p**2 + 1, p**3 + 3 * p, p**4 + 6 * p**2 + 3

    def discriminant(a):
        f = e2 * (1 - 2 * a * p) ** 2 + 2 * a**2 * (1 - 2 * a * p) * p * e3 + a**4 * p**2 * e4
        roots = f.deriv().roots()
        return np.prod([(x - y) ** 2 for k, x in enumerate(roots) for y in roots[:k]]).real

    assert found.value == pytest.approx(0.26746, abs=1e-5)
    values = [discriminant(found.value * (1 + x)) for x in (-1e-5, 1e-5)]
    assert values[0] * values[1] < 0


def test_the_origin_turns_from_a_maximum_into_a_saddle_by_a_pitchfork():
    (found,) = tl.find_bifurcations(by_mean(0.1), [0.1, 0.3])
    assert (found.below, found.above, found.kind) == ((4, 8, 5), (4, 7, 4), "pitchfork")
    # The Hessian at the origin is -2 alpha E[theta²] I - E[theta + alpha² theta³] [[0, 1], [1, 0]].
    mu = found.value
    assert mu + 0.01 * (mu**3 + 3 * mu) == pytest.approx(0.2 * (mu**2 + 1), abs=1e-6)
    assert found.location < 0.01


def test_none_is_reported_where_there_is_none():
    points_at = by_step_size(theta_mean=-0.608, theta_cov=0.182, x_cov=0.54)
    assert tl.find_bifurcations(points_at, np.linspace(0.001, 0.0018, 9).tolist()) == []


def test_all_changes_between_two_values_are_found():
    coarse = tl.find_bifurcations(by_mean(0.1), [0.1, 2.8], tolerance=1e-4)
    fine = tl.find_bifurcations(by_mean(0.1), np.linspace(0.1, 2.8, 40).tolist(), tolerance=1e-4)
    assert len(fine) >= 3
    assert len(coarse) == len(fine)
    for one, other in zip(coarse, fine, strict=True):
        assert one.value == pytest.approx(other.value, rel=2e-4)
        assert (one.below, one.above, one.kind) == (other.below, other.above, other.kind)
    assert coarse[0].below == by_mean(0.1)(0.1).census()
    assert coarse[-1].above == by_mean(0.1)(2.8).census()
    for left, right in pairwise(coarse):
        assert left.above == right.below
        assert left.value < right.value


@pytest.mark.parametrize("values", [[0.9, 1.0, 1.1], [0.875, 1.125]])
def test_a_value_at_a_bifurcation_counts_once(values):
    # At alpha = 1/2 the origin is degenerate at mean 1 exactly: a value, or the first middle.
    assert np.any(by_mean(0.5)(1.0).degenerate)
    (found,) = tl.find_bifurcations(by_mean(0.5), values)
    assert found.value == pytest.approx(1.0, abs=2e-6)
    assert (found.below, found.above) == tuple(by_mean(0.5)(m).census() for m in (0.9, 1.1))


def family(census_at, certified=True, flat=lambda value: False):
    """A family with so many minima, saddles and maxima, far from each other."""

    def points_at(value):
        signs = np.repeat([[1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0]], census_at(value), axis=0)
        points = np.arange(2.0 * len(signs)).reshape(-1, 2)
        signs = signs * (0 if flat(value) else 1)
        index = np.sum(signs < 0, axis=1)
        return CriticalPoints(points, np.zeros(len(signs)), signs, index, certified)

    return points_at


@pytest.mark.parametrize(
    ("at", "values"),
    [
        *[(at, [-1.0, 1.0]) for at in (0.0, 1e-12, -0.3, 0.7)],
        (1e-12, [-1.0, 0.75]),
        (-1.3, [-2.0, -1.0]),
    ],
)
def test_a_change_near_zero_is_bracketed_to_the_width_asked_for(at, values):
    calls = []

    def points_at(value):
        calls.append(value)
        return family(lambda v: (2, 1, 0) if v > at else (1, 0, 0))(value)

    (found,) = tl.find_bifurcations(points_at, values, tolerance=1e-9)
    assert abs(found.value - at) <= 1e-9
    assert len(calls) < 40


def test_the_value_is_the_middle_of_the_bracket():
    points_at = family(lambda v: (2, 1, 0) if v > 1.4 else (1, 0, 0))
    (found,) = tl.find_bifurcations(points_at, [1.0, 1.5], tolerance=0.5)
    assert found.value == 1.25


def test_an_index_change_is_one():
    (found,) = tl.find_bifurcations(family(lambda v: (1, 0, 0) if v < 3 else (0, 0, 1)), [1, 5])
    assert (found.kind, found.below, found.above) == ("index", (1, 0, 0), (0, 0, 1))
    assert found.value == pytest.approx(3, rel=1e-6)


def test_the_pair_that_vanishes_is_found_where_no_point_has_a_mirror_image():
    """A cubic in each variable, (w_1 - 3)³ - c (w_1 - 3): two of its points meet where c is 0."""

    def points_at(c):
        points = [[8.0, 1.0], [9.0, 6.0], [13.0, 9.0]]
        signs = [[1.0, 1.0], [-1.0, 1.0], [1.0, 1.0]]
        if c > 0:
            points += [[3 - c**0.5, 2.0], [3 + c**0.5, 2.0]]
            signs += [[-1.0, 1.0], [1.0, 1.0]]
        index = [int(np.sum(np.less(s, 0))) for s in signs]
        return CriticalPoints(
            np.array(points), np.zeros(len(points)), np.array(signs), np.array(index), True
        )

    (found,) = tl.find_bifurcations(points_at, [-1.0, 2.0])
    assert (found.below, found.above, found.kind) == ((2, 1, 0), (3, 2, 0), "fold")
    assert found.location == pytest.approx(13**0.5, abs=2e-3)


def test_a_fold_from_no_points():
    """w³/3 - c w: no critical point below c = 0, two above."""

    def points_at(c):
        points = np.array([[-(c**0.5)], [c**0.5]]) if c > 0 else np.zeros((0, 1))
        index = np.array([1, 0])[: len(points)]
        return CriticalPoints(points, np.zeros(len(points)), 2 * points, index, True)

    (found,) = tl.find_bifurcations(points_at, [-1.0, 2.0])
    assert (found.below, found.above, found.kind) == ((0, 0, 0), (1, 0, 1), "fold")
    assert found.value == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize(
    ("points_at", "values", "tolerance", "message"),
    [
        (family(lambda v: (1, 0, 0), certified=False), [0, 1], 1e-6, "must return certified"),
        (family(lambda v: (1, 0, 0)), [0, 0], 1e-6, "increasing finite numbers"),
        (family(lambda v: (1, 0, 0)), [1, 0], 1e-6, "increasing finite numbers"),
        (family(lambda v: (1, 0, 0)), [0], 1e-6, "at least two"),
        (family(lambda v: (1, 0, 0)), [-np.inf, 0], 1e-6, "values must be finite"),
        (family(lambda v: (1, 0, 0)), [0, np.nan], 1e-6, "values must be finite"),
        (family(lambda v: (1, 0, 0)), [0, 1], np.nan, "tolerance must be"),
        (family(lambda v: (1, 0, 0)), [0, 1], 0.0, "tolerance must be"),
        (family(lambda v: (1, 0, 0)), [0, 1], 1.0, "tolerance must be"),
        (
            family(lambda v: (1, 0, 0) if v < 0.4 else (2, 1, 0), flat=lambda v: 0.1 < v < 0.9),
            [0, 1],
            1e-6,
            "stay degenerate",
        ),
    ],
)
def test_bad_input_is_named(points_at, values, tolerance, message):
    with pytest.raises(ValueError, match=message):
        tl.find_bifurcations(points_at, values, tolerance)


def test_values_on_both_sides_of_zero_do_not_ask_for_zero():
    """Where the family is not defined: a step size. The census of either side is that beside it."""
    values = [-1.0, -0.25, -0.0625, 0.0625, 0.25, 1.0]
    asked = []

    def points_at(alpha):
        asked.append(alpha)
        return by_step_size(shots=1, noise_std=0.5)(alpha)

    found = tl.find_bifurcations(points_at, values, tolerance=1e-2)
    assert 0 not in asked
    at_zero = [b for b in found if -0.0625 < b.value < 0.0625]
    beside = [len(points_at(alpha).points) for alpha in (-0.0625, 0.0625)]
    assert beside[0] != beside[1]
    assert at_zero
