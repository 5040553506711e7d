"""The polynomial of a batch against exact fractions: values, and the bound on their rounding."""

from __future__ import annotations

from fractions import Fraction
from math import prod

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import toylin as tl
from toylin.closed_form._batch_polynomial import batch_polynomial

STEP = 0.1


def batch_of(dtype, noise_std, mean, num_tasks=8):
    rng = np.random.default_rng(0)
    x, e = rng.normal(size=(2, num_tasks, 10)), noise_std * rng.normal(size=(2, num_tasks, 10))
    theta = jnp.asarray(mean + rng.normal(size=(num_tasks, 1)), dtype)
    support, query = (
        tl.RegressionMoments(
            xx=jnp.asarray(np.mean(a**2, -1)[:, None, None], dtype),
            theta=theta,
            xe=jnp.asarray(np.mean(a * b, -1)[:, None], dtype),
            ee=jnp.asarray(np.mean(b**2, -1), dtype),
        )
        for a, b in zip(x, e, strict=True)
    )
    return tl.Batch(support, query)


def models(depth):
    """Random ones, such that fit the mean task by large weights that cancel, and zero."""
    rng = np.random.default_rng(depth)
    found = [*rng.normal(0, 2, (20, depth)), *rng.normal(0, 0.3, (4, depth)), np.zeros(depth)]
    for size in (2.0, 5.0):
        weights = np.full(depth, size)
        weights[0] = 0.4 / size ** (depth - 1)
        found += [weights, -weights]
    return found


def fractions(data):
    arrays = (data.xx[:, 0, 0], data.theta[:, 0], data.xe[:, 0], data.ee)
    return [[Fraction(float(x)) for x in np.asarray(a)] for a in arrays]


def exact(weights, step, support, query):
    """The loss of one task, in rational numbers."""
    p = prod(weights)
    slope = support[0] * (p - support[1]) - support[2]
    c = [prod(weights[:i] + weights[i + 1 :]) for i in range(len(weights))]
    adapted = prod(w - step * slope * x for w, x in zip(weights, c, strict=True))
    away = adapted - query[1]
    return (query[0] * away**2 - 2 * query[2] * away + query[3]) / 2


@jax.jit
def value_and_bound(polynomial, params):
    return polynomial(params), polynomial.error_bound(params)


@pytest.mark.parametrize("noise_std", [0.0, 0.5])
@pytest.mark.parametrize("mean", [0.0, 3.0])
@pytest.mark.parametrize("depth", [1, 2, 3, 5])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_the_value_is_within_its_bound_of_the_exact_one(dtype, depth, mean, noise_std):
    batch, u = batch_of(dtype, noise_std, mean), Fraction(float(jnp.finfo(dtype).eps) / 2)
    polynomial = batch_polynomial(batch, tl.MAML(jnp.asarray(STEP, dtype)), depth)
    assert {x.dtype for x in jax.tree.leaves(polynomial)} == {np.dtype(dtype)}
    support, query = (list(zip(*fractions(d), strict=True)) for d in (batch.support, batch.query))
    step, used = Fraction(float(jnp.asarray(STEP, dtype))), []
    for weights in models(depth):
        params = tuple(jnp.asarray(w, dtype).reshape(1, 1) for w in weights)
        w = [Fraction(float(x[0, 0])) for x in params]
        want, inherited = Fraction(0), Fraction(0)
        for s, q in zip(support, query, strict=True):
            here = exact(w, step, s, q)
            want += here / len(support)
            inherited += moment_rounding(w, step, s, q, here, u) / len(support)
        value, bound = value_and_bound(polynomial, params)
        error, allowed = abs(Fraction(float(value)) - want), Fraction(float(bound))
        assert error <= allowed + inherited
        used.append(float(error / allowed))
    assert max(used) > 1e-4  # a bound that is far too large would serve nobody


def moment_rounding(w, step, support, query, here, u):
    """What rounding the noise moments about another parameter, which the bound leaves out, does."""
    change = Fraction(0)
    for sign in (1, -1):
        s, q = (
            (xx, theta, xe + sign * 4 * u * (abs(xe) + xx * (abs(theta) + 4)), ee)
            for xx, theta, xe, ee in (support, query)
        )
        change += abs(exact(w, step, s, query) - here) + abs(exact(w, step, support, q) - here)
    return change + 8 * u * (abs(query[3]) + query[0] * (abs(query[1]) + 4) ** 2)


def two_tasks(theta, xe, dtype):
    """With a noisy support; their moments do not round."""
    theta, xe = (jnp.asarray(a, dtype)[:, None] for a in (theta, xe))
    xx, zero = jnp.ones((2, 1, 1), dtype), jnp.zeros(2, dtype)
    support = tl.RegressionMoments(xx=xx, theta=theta, xe=xe, ee=zero + xe[:, 0] ** 2)
    return tl.Batch(support, tl.RegressionMoments(xx=xx, theta=theta, xe=0 * xe, ee=zero))


TINY = 2.0**-80


@pytest.mark.parametrize(
    ("theta", "xe", "models", "dtype"),
    [
        # Noise that can take a step to zero.
        ([0.0, 0.0], [1.0, -1.0], [[w] for w in np.linspace(0.106, 0.116, 11)], jnp.float64),
        # Far from the tasks, by layers that a step moves far.
        ([100.0, 100.0], [0.0, 0.0], [[-2.0, -0.5, -2.0, -0.5, -0.5]], jnp.float64),
        # A step to the opposite of the tasks.
        ([100.0, 100.0], [0.0, 0.0], [[w] for w in np.linspace(-122.3, -122.1, 11)], jnp.float64),
        # A loss below the range of floats.
        ([TINY, -TINY], [0.0, 0.0], [[0.0], [TINY]], jnp.float32),
    ],
)
def test_the_bound_holds_at_its_edges(theta, xe, models, dtype):
    batch, step = two_tasks(theta, xe, dtype), jnp.asarray(STEP, dtype)
    polynomial = batch_polynomial(batch, tl.MAML(step), depth=len(models[0]))
    assert polynomial.reference == np.mean(theta)
    data = (zip(*fractions(d), strict=True) for d in (batch.support, batch.query))
    tasks = list(zip(*data, strict=True))
    for model in models:
        params = tuple(jnp.asarray(w, dtype).reshape(1, 1) for w in model)
        value, bound = value_and_bound(polynomial, params)
        w = [Fraction(float(x[0, 0])) for x in params]
        want = sum(exact(w, Fraction(float(step)), *task) for task in tasks) / 2
        assert abs(Fraction(float(value)) - want) <= Fraction(float(bound))
