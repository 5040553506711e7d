"""Proximal adaptation, against exact fractions, NumPy's least squares and a root by bisection."""

from __future__ import annotations

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as st

import toylin as tl

small = st.integers(-4, 4)


def solve(matrix, vector):
    """Cramer's rule for two unknowns."""
    (a, b), (c, d) = matrix
    u, v = vector
    return [(u * d - b * v) / (a * d - b * c), (a * v - u * c) / (a * d - b * c)]


def by_fractions(x, y, start, strength):
    """The two equations (S + strength I) v = S t + strength start, solved exactly."""
    k = Fraction(len(x))
    second = [[sum(r[i] * r[j] for r in x) / k for j in (0, 1)] for i in (0, 1)]
    cross = [sum(r[i] * t for r, t in zip(x, y, strict=True)) / k for i in (0, 1)]
    matrix = [[second[i][j] + (strength if i == j else 0) for j in (0, 1)] for i in (0, 1)]
    return solve(matrix, [cross[i] + strength * start[i] for i in (0, 1)])


def half_square(v, x, y):
    error = [r[0] * v[0] + r[1] * v[1] - t for r, t in zip(x, y, strict=True)]
    return sum(e * e for e in error) / (2 * Fraction(len(x)))


@jax.jit
def outer_value_and_grad(start, strength, batch):
    def loss(start, strength):
        return tl.autodiff.outer_loss((start[None],), batch, tl.Proximal(strength))

    adapted = jax.vmap(lambda s: tl.autodiff.adapt((start[None],), s, tl.Proximal(strength)))
    return adapted(batch.support)[0][0, 0], jax.value_and_grad(loss, (0, 1))(start, strength)


@settings(max_examples=40)
@given(
    points=st.lists(st.tuples(small, small, small), min_size=5, max_size=5),
    start=st.tuples(small, small),
    strength=st.fractions(Fraction(1, 8), 8, max_denominator=8),
)
def test_against_fractions(points, start, strength):
    """Two points to adapt on, three to be scored on; the gradient by differences, exactly.

    The outer loss is a quadratic in the start, so that a central difference is its derivative; in
    the strength it is a ratio, whose difference leaves out an h².
    """
    x, y = [tuple(map(Fraction, p[:2])) for p in points], [Fraction(p[2]) for p in points]

    def outer(start, strength):
        return half_square(by_fractions(x[:2], y[:2], start, strength), x[2:], y[2:])

    at = tuple(map(Fraction, start))
    wanted = by_fractions(x[:2], y[:2], at, strength)
    slopes = []
    for i, j in ((1, 0), (0, 1)):
        ahead, back = ((at[0] + s * i, at[1] + s * j) for s in (1, -1))
        slopes.append((outer(ahead, strength) - outer(back, strength)) / 2)
    h = Fraction(1, 10**6)
    slopes.append((outer(at, strength + h) - outer(at, strength - h)) / (2 * h))

    data = np.array(points, float)
    parts = (tl.RegressionPoints(d[None, :, :2], d[None, :, 2]) for d in (data[:2], data[2:]))
    got = outer_value_and_grad(jnp.array(start, float), float(strength), tl.Batch(*parts))
    adapted, (value, (in_start, in_strength)) = got
    scale = 1 + float(outer(at, strength))
    np.testing.assert_allclose(adapted, np.array(wanted, float), rtol=1e-10, atol=1e-11)
    np.testing.assert_allclose(value, float(outer(at, strength)), rtol=1e-10, atol=1e-11)
    found = [*in_start, in_strength]
    np.testing.assert_allclose(found, np.array(slopes, float), rtol=1e-7, atol=1e-7 * scale)


def test_the_head_of_a_deep_model_is_ridge_regression_on_its_features():
    """By NumPy's least squares with rows for the pull to the start; the body stays."""
    batch = tl.LinearRegression(3, noise_std=0.3, shots=4).sample(jax.random.key(0), 1)
    support = jax.tree.map(lambda a: a[0], batch.support)
    body, head = tl.init(jax.random.key(1), (3, 5, 1))
    got = tl.autodiff.adapt((body, head), support, tl.ANIL(rule=tl.Proximal(0.2)))
    features = np.asarray(support.x @ body.T)
    pull = np.sqrt(0.2 * 4) * np.eye(5)
    wanted = np.linalg.lstsq(
        np.concatenate([features, pull]), np.concatenate([support.y, pull @ np.asarray(head[0])])
    )[0]
    np.testing.assert_array_equal(got[0], body)
    np.testing.assert_allclose(got[1][0], wanted, rtol=1e-11)


def test_a_logistic_loss_takes_iterations_and_is_nan_without():
    """By Brent's method on the derivative; the outer gradient by differences of that."""
    x, y = np.array([0.5, -1.0, 2.0]), np.array([1.0, -1.0, -1.0])
    support = tl.BinaryPoints(jnp.asarray(x[:, None]), jnp.asarray(y))

    def minimum(start, strength):
        def slope(v):
            return np.mean(-y * x / (1 + np.exp(y * x * v))) + strength * (v - start)

        return scipy.optimize.brentq(slope, -10, 10, xtol=1e-14, rtol=1e-14)

    def adapted(start, strength, iterations=8):
        rule = tl.Proximal(strength, iterations)
        return tl.autodiff.adapt((start.reshape(1, 1),), support, rule)[0][0, 0]

    start, h = jnp.asarray(0.7), 1e-5
    np.testing.assert_allclose(adapted(start, 0.3), minimum(0.7, 0.3), rtol=1e-12)
    slopes = jax.grad(adapted, (0, 1))(start, 0.3)
    wanted = (
        (minimum(0.7 + h, 0.3) - minimum(0.7 - h, 0.3)) / (2 * h),
        (minimum(0.7, 0.3 + h) - minimum(0.7, 0.3 - h)) / (2 * h),
    )
    np.testing.assert_allclose(slopes, wanted, rtol=1e-7)
    assert np.isnan(adapted(start, 0.3, iterations=1))
    deep = tl.init(jax.random.key(0), (1, 1, 1))
    assert all(np.all(np.isnan(w)) for w in tl.autodiff.adapt(deep, support, tl.Proximal(1.0)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_start_that_is_the_solution_stays(dtype):
    theta = jnp.array([0.3, -1.7, 1e-3], dtype)
    support = tl.LinearRegression(3, x_cov=0.7).population(theta)
    (got,) = tl.autodiff.adapt((theta[None],), support, tl.Proximal(0.01))
    np.testing.assert_allclose(got[0], theta, rtol=4 * np.finfo(dtype).eps)
    (far,) = tl.autodiff.adapt((theta[None] + 1,), support, tl.Proximal(1e9))
    np.testing.assert_allclose(far[0], theta + 1, rtol=1e-6)


def test_where_meta_training_rests():
    """By normal equations: queries X2 M with M = strength (S + strength I)^-1 (Bai et al.)."""
    batch = tl.LinearRegression(3, noise_std=0.4, shots=2).sample(jax.random.key(0), 6, 4)
    rows, targets = [], []
    sides = (batch.support.x, batch.support.y, batch.query.x, batch.query.y)
    for x1, y1, x2, y2 in zip(*map(np.asarray, sides), strict=True):
        inverse = np.linalg.inv(x1.T @ x1 / 2 + 0.3 * np.eye(3))
        rows.append(0.3 * x2 @ inverse)
        targets.append(y2 - x2 @ inverse @ x1.T @ y1 / 2)
    wanted = np.linalg.lstsq(np.concatenate(rows), np.concatenate(targets))[0]
    (found,) = tl.shallow_fixed_point(batch, tl.ANIL(rule=tl.Proximal(0.3)))
    np.testing.assert_allclose(found[0], wanted, rtol=1e-10)


def test_refusals():
    for bad in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(ValueError, match="strength must be"):
            tl.Proximal(bad)
    with pytest.raises(ValueError, match="iterations must be an integer of at least 1, got 0"):
        tl.Proximal(1.0, 0)
    tasks = tl.LinearRegression(2)
    start = (jnp.zeros((1, 2)),)
    for call in (
        lambda: tl.closed_form.outer_loss(start, tasks, tl.Proximal(0.1)),
        lambda: tl.induced_preconditioner(start, tl.Proximal(0.1)),
        lambda: tl.Proximal(0.1).update(start),
    ):
        with pytest.raises(tl.NoClosedFormError, match="Proximal"):
            call()
    batch = tasks.sample(jax.random.key(0), 3)
    with pytest.raises(tl.NoClosedFormError, match=r"affine on squared errors.* got AlphaMAML"):
        tl.shallow_fixed_point(batch, tl.AlphaMAML(0.1, 0.01, steps=2))
