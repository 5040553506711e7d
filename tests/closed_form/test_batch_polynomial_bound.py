"""The bound on a polynomial's rounding, against numbers that carry the bound on their own error."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from itertools import product as pairs
from math import comb

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import toylin as tl
from toylin.closed_form._batch_polynomial import batch_polynomial

U, STEP, TASKS = 2.0**-53, 0.1, 8


@dataclass(frozen=True)
class Rounded:
    """A float, and how far it may be from what exact arithmetic gives, to first order in U."""

    value: float
    error: float = 0.0

    def __mul__(self, other):
        value = self.value * other.value
        error = abs(self.value) * other.error + abs(other.value) * self.error
        return Rounded(value, error + U * abs(value))

    def __add__(self, other):
        value = self.value + other.value
        return Rounded(value, self.error + other.error + U * abs(value))

    def __abs__(self):
        return Rounded(abs(self.value), self.error)


def total(terms):
    return reduce(lambda a, b: a + b, terms)


def product(factors):
    return reduce(lambda a, b: a * b, factors, Rounded(1.0))


def multiplied(a, b):
    terms = [[] for _ in range(len(a) + len(b) - 1)]
    for (i, x), (j, y) in pairs(enumerate(a), enumerate(b)):
        terms[i + j].append(x * y)
    return [total(t) for t in terms]


class Sizes:
    """A batch's moments about the parameter of least squares, from its definitions."""

    def __init__(self, batch):
        (s, theta, xe, _), (f, truth, qe, ee) = (
            [np.asarray(a).reshape(TASKS) for a in (d.xx, d.theta, d.xe, d.ee)]
            for d in (batch.support, batch.query)
        )
        self.reference = np.sum(s * theta + xe) / np.sum(s)
        r = xe + s * (theta - self.reference)
        self.mean_s, self.mean_r = s.mean(), r.mean()
        self.s, self.r = np.abs(s - s.mean()), np.abs(r - r.mean())
        away = truth - self.reference
        self.quadratic, self.linear = f, np.abs(qe + f * away)
        self.constant = np.mean(ee + away * (2 * qe + f * away)) / 2

    def means(self, f, degree, away):
        """E |f| (|s| away + |r|)^k for k = 0, ..., degree, by Horner's rule."""
        roundings = degree + 5 + 8 + TASKS.bit_length()  # powers, factor, weight; the sum's tree
        table = {}
        for i, j in pairs(range(degree + 1), repeat=2):
            entry = comb(i + j, i) * np.mean(f * self.s**i * self.r**j)
            table[i, j] = Rounded(entry, roundings * U * entry)
        means = []
        for k in range(degree + 1):
            mean = table[k, 0]
            for i in range(k - 1, -1, -1):
                mean = mean * away + table[i, k - i]
            means.append(mean)
        return means, roundings

    def error(self, weights):
        """Of the loss: every term by its size, what multiplies a power of d by its absolute."""
        w, depth = [Rounded(x) for x in weights], len(weights)
        c = [product(w[:i] + w[i + 1 :]) for i in range(depth)]
        away = w[0] * c[0] + Rounded(-self.reference)
        slope = Rounded(self.mean_s) * away + Rounded(-self.mean_r)
        adapted = [Rounded(1.0)]
        for x, others in zip(w, c, strict=True):
            step = Rounded(-STEP) * others
            adapted = multiplied(adapted, [abs(x + step * slope), abs(step)])
        adapted[0] += Rounded(abs(self.reference))
        quadratic, _ = self.means(self.quadratic, 2 * depth, abs(away))
        linear, roundings = self.means(self.linear, depth, abs(away))
        squared = multiplied(adapted, adapted)
        terms = [Rounded(0.5) * a * b for a, b in zip(squared, quadratic, strict=True)]
        terms += [a * b for a, b in zip(adapted, linear, strict=True)]
        return total([*terms, Rounded(self.constant, roundings * U * self.constant)]).error


def batch_of(noise_std, mean, s_spread):
    """Tasks whose inputs are as large as ``s_spread`` says, and differ as much."""
    rng = np.random.default_rng(1)
    theta = jnp.asarray(mean + rng.normal(size=(TASKS, 1)))
    data = []
    for _ in range(2):
        x, e = s_spread * rng.normal(size=(TASKS, 4)), noise_std * rng.normal(size=(TASKS, 4))
        moments = np.mean(x**2, -1)[:, None, None], np.mean(x * e, -1)[:, None], np.mean(e**2, -1)
        xx, xe, ee = map(jnp.asarray, moments)
        data.append(tl.RegressionMoments(xx=xx, theta=theta, xe=xe, ee=ee))
    return tl.Batch(*data)


BATCHES = [
    batch_of(*x) for x in ((0.0, 3.0, 0.3), (0.5, 0.0, 1.0), (20.0, 0.5, 1.0), (1.0, 3.0, 5))
]


@pytest.mark.parametrize(("depth", "least", "most"), [(1, 1.1, 1.9), (2, 1.4, 2.6)])
def test_the_bound_is_what_adds_up_step_by_step(depth, least, most):
    """And a little more, for what it counts roughly."""
    rng = np.random.default_rng(depth)
    of = jax.jit(lambda polynomial, params: polynomial.error_bound(params))
    for batch in BATCHES:
        polynomial, sizes = batch_polynomial(batch, tl.MAML(jnp.asarray(STEP)), depth), Sizes(batch)
        for scale in (0.01, 0.3, 1.0, 3.0, 30.0):
            for w in scale * rng.normal(size=(4, depth)):
                bound = of(polynomial, tuple(jnp.reshape(x, (1, 1)) for x in jnp.asarray(w)))
                assert least < bound / sizes.error(w) < most


@pytest.mark.parametrize("batch", BATCHES)
def test_moments_are_those_that_are_described(batch):
    """E |f|, (E |f s^K| / E |f|)^(1/K) and likewise for r, about the parameter of least squares."""
    polynomial, sizes = batch_polynomial(batch, tl.MAML(STEP), 2), Sizes(batch)
    np.testing.assert_allclose(polynomial.reference, sizes.reference, rtol=1e-13)
    for found, f, degree in (
        (polynomial.quadratic, sizes.quadratic, 4),
        (polynomial.linear, sizes.linear, 2),
    ):
        size = np.mean(f)
        want = [(np.mean(f * x**degree) / size) ** (1 / degree) for x in (sizes.s, sizes.r)]
        got = found.size, found.s_size, found.r_size
        np.testing.assert_allclose(got, [size, *want], rtol=1e-12)


def test_supports_of_zeros_leave_a_model_where_it_is():
    zeros, batch = jnp.zeros((TASKS, 2, 1)), BATCHES[1]
    nothing = tl.Batch(tl.RegressionPoints(zeros, zeros[..., 0]), batch.query)
    params = (jnp.array([[0.7]]), jnp.array([[-0.9]]))
    polynomial = batch_polynomial(nothing, tl.MAML(STEP), 2)
    want = tl.autodiff.outer_loss(params, nothing, tl.MAML(STEP))
    np.testing.assert_allclose(polynomial(params), want, rtol=1e-13)
    assert polynomial.error_bound(params) < 1e-13
