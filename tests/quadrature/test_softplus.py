"""Gaussian expectations of softplus and the binary population, against adaptive quadrature."""

from __future__ import annotations

from functools import cache, partial
from itertools import pairwise

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from helpers import assert_close

import toylin as tl
from toylin.quadrature import (
    expected_sigmoid,
    expected_softplus,
    expected_softplus_derivative,
    expected_softplus_derivatives,
)


def softplus(t):
    return mpmath.log1p(mpmath.exp(t)) if t < 0 else t + mpmath.log1p(mpmath.exp(-t))


def sigmoid(t):
    return 1 / (1 + mpmath.exp(-t))


def derivatives(t):
    s = sigmoid(t)
    return [softplus(t), s, s * (1 - s), s * (1 - s) * (1 - 2 * s)]


@cache
def integrals(mean, variance):
    """E of softplus and its three derivatives, t ~ N(mean, variance): 48 nodes a panel."""
    with mpmath.workdps(20):
        mean, std = mpmath.mpf(mean), mpmath.sqrt(variance)
        if std == 0:
            return [float(x) for x in derivatives(mean)]
        panels = sorted({*(mean + k * std for k in range(-14, 15, 2)), -30, -8, -2, 0, 2, 8, 30})
        panels = [mpmath.mpf(p) for p in panels if abs(p - mean) <= 14 * std]
        rule, total = mpmath.calculus.quadrature.GaussLegendre(mpmath.mp), mpmath.zeros(4, 1)
        for ends in pairwise(panels):
            for t, weight in rule.get_nodes(*ends, degree=5, prec=mpmath.mp.prec):
                total += weight * mpmath.npdf(t, mean, std) * mpmath.matrix(derivatives(t))
        return [float(x) for x in total]


def nested_grads(function, order):
    for _ in range(order):
        function = jax.grad(function)
    return jax.jit(function)


IN_MEAN = [nested_grads(expected_softplus, order) for order in range(4)]
# d/dvariance E f = E f'' / 2.
IN_VARIANCE = [
    jax.jit(jax.grad(expected_softplus, 1)),
    jax.jit(jax.grad(jax.grad(expected_softplus, 1))),
]

# Both sides of the branch at variance 1, the branch itself, none and wide.
VARIANCES = [0.0, 1e-6, 0.3, 1.0 - 1e-12, 1.0, 1.0 + 1e-12, 2.5, 30.0, 1e4]


@pytest.mark.parametrize("variance", VARIANCES)
@pytest.mark.parametrize("mean", [-25.0, -3.0, 0.0, 0.7, 12.0])
def test_against_high_precision(mean, variance):
    wanted = integrals(mean, variance)
    for order, function in enumerate(IN_MEAN):
        want = wanted[order]
        np.testing.assert_allclose(function(mean, variance), want, rtol=1e-11, atol=1e-15)
    for order, function in enumerate(IN_VARIANCE):
        want = 0.5 * wanted[order + 2]
        np.testing.assert_allclose(function(mean, variance), want, rtol=1e-11, atol=1e-15)
    got = expected_sigmoid(jnp.array(mean), jnp.array(variance))
    np.testing.assert_allclose(got, IN_MEAN[1](mean, variance), rtol=1e-14)


@hypothesis.given(mean=st.floats(-40, 40), variance=st.floats(1e-8, 1e3))
def test_symmetry_and_bounds(mean, variance):
    """softplus(t) - softplus(-t) = t; and Jensen's inequality."""
    up, down = IN_MEAN[0](mean, variance), IN_MEAN[0](-mean, variance)
    np.testing.assert_allclose(up - down, mean, atol=1e-12 * max(1.0, abs(mean), variance**0.5))
    assert up >= jax.nn.softplus(mean) * (1 - 1e-12)
    np.testing.assert_allclose(
        IN_MEAN[1](mean, variance) + IN_MEAN[1](-mean, variance), 1, rtol=1e-12
    )


@pytest.mark.parametrize("mean", [-4.0, 0.3])
def test_no_seam_at_the_branch(mean):
    for function in (*IN_MEAN, *IN_VARIANCE):
        below, above = (function(mean, v) for v in (1 - 1e-14, 1 + 1e-14))
        np.testing.assert_allclose(below, above, rtol=1e-11, atol=1e-15)


def by_trapezoid(order, mean, variance):
    """E of a derivative of softplus and of its absolute value, in 80-bit numbers, over t."""
    mean, variance = np.longdouble(mean), np.longdouble(variance)
    std = np.sqrt(variance)
    step = min(np.longdouble(0.15), std / 9)
    ends = [mean - 14 * std, mean + 14 * std]
    ends += [mean + np.sign(-mean) * min(variance, abs(mean)) + k * std for k in (-14, 14)]
    if abs(mean) > variance:
        ends += [mean + np.sign(-mean) * variance + k * std for k in (-14, 14)]
    t = np.arange(np.floor(min(ends) / step), np.ceil(max(ends) / step) + 1) * step
    small = np.exp(-np.abs(t))
    s, c = small / (1 + small), 1 / (1 + small)
    odd = np.where(t < 0, 1, -1)
    p = s * c
    values = (
        np.log1p(small) + np.maximum(t, 0),
        np.where(t < 0, s, c),
        p,
        odd * p * (c - s),
        p * (1 - 6 * p),
        odd * p * (c - s) * (1 - 12 * p),
    )[order]
    weight = np.exp(-((t - mean) ** 2) / (2 * variance)) * step / std
    weight /= np.sqrt(2 * np.longdouble("3.14159265358979323846"))
    raw, size = values @ weight, np.abs(values) @ weight
    if order < 3 or variance < 1 or abs(mean) > variance / 2:
        return raw, size
    # What cancels in a wide Gaussian does not in the integral by parts, against He_1, He_2, He_3.
    u = (t - mean) / std
    terms = p * (u, u**2 - 1, u**3 - 3 * u)[order - 3] / std ** (order - 2)
    by_parts = terms @ weight
    assert abs(by_parts - raw) <= 1e-16 * size
    return by_parts, np.abs(terms) @ weight


ORDERS = [jax.jit(partial(expected_softplus_derivative, order)) for order in range(6)]


@hypothesis.settings(max_examples=120)
@hypothesis.given(
    order=st.integers(0, 5),
    mean=st.floats(-2.0, 2.7).map(lambda power: 10**power),
    sign=st.sampled_from([-1, 1]),
    variance=st.floats(-3.0, 4.0).map(lambda power: 10**power),
    # The routes part at mean = -variance / 2, and the peak reaches 0 at mean = -variance.
    ratio=st.none() | st.sampled_from([0.499, 0.501, 0.999, 1.001, 2.0]),
)
@hypothesis.example(order=0, mean=50.0, sign=-1, variance=4.0, ratio=None)
def test_relative_accuracy_in_the_tails(order, mean, sign, variance, ratio):
    """64 eps (1 + |log E|): rounding the arguments alone moves a tail by eps times its logarithm.

    From the third derivative on, which change sign, relative to E of the absolute value; of that
    by parts in a wide Gaussian, which is smaller.
    """
    variance = float(np.float32(variance))
    mean = float(np.float32(sign * (mean if ratio is None else ratio * variance)))
    want, size = by_trapezoid(order, mean, variance)
    for dtype, smallest in ((np.float64, 1e-290), (np.float32, 1e-30)):
        if size < smallest:
            continue
        got = ORDERS[order](dtype(mean), dtype(variance))
        bound = 64 * np.finfo(dtype).eps * (1 + max(0.0, -float(np.log(size))))
        assert abs(np.longdouble(float(got)) - want) <= bound * size, (float(got), want, bound)


def test_a_tail_of_thirty_digits():
    """By mpmath: the sum over k of (-1)^(k + 1) exp(k mean + k² variance / 2) / k, at k = 1, 2."""
    want = float(mpmath.exp(-48) - mpmath.exp(-92) / 2)
    np.testing.assert_allclose(ORDERS[0](-50.0, 4.0), want, rtol=1e-13)
    assert 1.42e-21 < want < 1.43e-21


def test_arrays_keep_shape_and_type():
    mean = jnp.linspace(-2, 2, 6, dtype=jnp.float32).reshape(2, 3)
    softplus = jax.jit(expected_softplus)
    got = softplus(mean, jnp.abs(mean))
    assert got.shape == (2, 3)
    assert got.dtype == jnp.float32
    want = softplus(mean.astype(float), jnp.abs(mean).astype(float))
    np.testing.assert_allclose(got, want, rtol=2e-6)


MEAN = jnp.array([0.8, -0.3, 0.5])
COV = jnp.array([[1.0, 0.3, -0.2], [0.3, 0.8, 0.1], [-0.2, 0.1, 1.1]])
TASK = tl.BinaryMoments(MEAN, COV)


@pytest.mark.parametrize("function", [expected_softplus, expected_sigmoid])
def test_whole_numbers_are_numbers(function):
    np.testing.assert_array_equal(function(1, 4), function(1.0, 4.0))
    whole = function(np.array([-3, 2]), np.array([4, 1]))
    np.testing.assert_array_equal(whole, function(jnp.array([-3.0, 2.0]), jnp.array([4.0, 1.0])))


@pytest.mark.parametrize("scale", [0.1, 1.0, 3.0])
def test_binary_population(scale):
    params = tl.init(jax.random.key(0), (3, 2, 1), scale=scale)
    w = np.asarray(tl.end_to_end(params)[0])
    mean, variance = float(w @ MEAN), float(w @ COV @ w)
    want = integrals(-mean, variance)[0]
    np.testing.assert_allclose(TASK.loss(params), want, rtol=1e-12)
    np.testing.assert_allclose(
        TASK.accuracy(params), float(mpmath.ncdf(mean / variance**0.5)), rtol=1e-12
    )


@pytest.mark.parametrize("w", [[0.4, -0.7, 0.2], [0.0, 0.0, 0.0], [2.0, -1.0, 1.5]])
def test_binary_gradient_by_steins_lemma(w):
    """The gradient in the end-to-end vector is -(A m - B Sigma w), also at w = 0."""
    w = np.array(w)
    mean, variance = float(w @ MEAN), float(w @ COV @ w)
    a, b = integrals(-mean, variance)[1], integrals(mean, variance)[2]
    got = tl.autodiff.inner_grad((jnp.array([w]),), TASK)[0][0]
    np.testing.assert_allclose(got, -(a * MEAN - b * COV @ w), rtol=1e-11, atol=1e-14)
    assert np.max(np.abs(got)) > 0.01


def test_binary_derivatives_at_zero_weights():
    """At w = 0: loss log 2, accuracy one half, Hessian (m m' + Sigma) / 4, all third ones zero."""
    at = lambda w: TASK.loss((w[None],))  # noqa: E731
    zero = jnp.zeros(3)
    np.testing.assert_allclose(at(zero), np.log(2), rtol=1e-14)
    assert TASK.accuracy((zero[None],)) == 0.5
    hessian = jax.jit(jax.hessian(at))(zero)
    np.testing.assert_allclose(hessian, (jnp.outer(MEAN, MEAN) + COV) / 4, rtol=1e-12)
    np.testing.assert_allclose(jax.jit(jax.jacfwd(jax.hessian(at)))(zero), 0, atol=1e-14)


@pytest.mark.parametrize("w", [[0.4, -0.7, 0.2], [2.0, -1.0, 1.5]])
def test_binary_third_derivatives(w):
    """Along one direction, against differences of integrals of 30 digits."""
    w, direction = np.array(w), np.array([0.3, 1.0, -0.5])

    def at(t):
        moved = w + t * direction
        return TASK.loss((jnp.asarray(moved)[None],))

    def reference(t):
        moved = [float(a) + t * float(b) for a, b in zip(w, direction, strict=True)]
        mean = sum(a * float(b) for a, b in zip(moved, MEAN, strict=True))
        variance = sum(
            a * b * float(COV[i, j]) for i, a in enumerate(moved) for j, b in enumerate(moved)
        )
        std = mpmath.sqrt(variance)
        panels = [mean + k * std for k in range(-14, 15, 2)]
        return mpmath.quad(lambda z: softplus(-z) * mpmath.npdf(z, mean, std), panels, maxdegree=8)

    got = nested_grads(at, 3)(0.0)
    with mpmath.workdps(40):
        h = mpmath.mpf("1e-6")
        values = [reference(k * h) for k in (-2, -1, 1, 2)]
        want = float((values[3] - 2 * values[2] + 2 * values[1] - values[0]) / (2 * h**3))
    np.testing.assert_allclose(got, want, rtol=1e-9)
    assert abs(want) > 1e-3


def test_binary_population_against_points():
    """Loss, accuracy and gradient of many sampled points, within five standard errors."""
    tasks = tl.BinaryClassification(dim=3, x_cov=COV, shots=200)
    params = tl.init(jax.random.key(1), (3, 2, 1))
    points = jax.jit(jax.vmap(lambda k: tasks.sample_support(k, MEAN[None])))(
        jax.random.split(jax.random.key(2), 2000)
    )
    points = jax.tree.map(lambda a: a[:, 0], points)
    for function in (
        lambda data: data.loss(params),
        lambda data: data.accuracy(params),
        lambda data: jax.grad(lambda p: data.loss(p))(params)[0],
    ):
        values = np.asarray(jax.jit(jax.vmap(function))(points))
        error = values.std(0) / len(values) ** 0.5
        assert np.all(np.abs(values.mean(0) - function(TASK)) < 5 * error)


def test_binary_points_on_the_boundary():
    points = tl.BinaryPoints(jnp.array([[1.0], [2.0], [0.0]]), jnp.array([1.0, -1.0, 1.0]))
    params = (jnp.array([[3.0]]),)
    assert points.accuracy(params) == 0.5
    want = np.mean(np.log1p(np.exp(-np.array([3.0, -6.0, 0.0]))))
    np.testing.assert_allclose(points.loss(params), want, rtol=1e-14)
    assert_close(tl.autodiff.inner_loss(params, points), points.loss(params), 1e-14)


def test_odd_derivatives_keep_their_digits_beside_zero():
    """By the first term of their series, -t/8 and t/4, at no variance and at one of its size."""
    for mean in (1e-9, -1e-15):
        for variance in (0.0, mean**2):
            third, fifth = expected_softplus_derivatives((3, 5), mean, variance)
            np.testing.assert_allclose([third, fifth], [-mean / 8, mean / 4], rtol=1e-14)


def test_beyond_the_range_of_floats():
    """Of an infinite variance the expectation is infinite, derivatives are not known."""
    value, slope = expected_softplus_derivatives((0, 1), 0.3, jnp.inf)
    assert value == jnp.inf
    assert np.isnan(slope)
