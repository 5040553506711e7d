"""The Gauss rules and the tasks that they stand for."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.special
from helpers import WEIGHTS, scalar_params, value_and_grad

import toylin as tl
import toylin.quadrature
import toylin.tasks
from toylin.quadrature import gauss_gamma, gauss_normal, nodes_for_degree
from toylin.tasks import count_nodes, loss_degrees


@pytest.mark.parametrize("nodes", [1, 2, 5, 30])
def test_normal_moments(nodes):
    x, log_weight = gauss_normal(nodes)
    assert x.shape == log_weight.shape == (nodes,)
    for power in range(2 * nodes):
        want = 0 if power % 2 else scipy.special.factorial2(power - 1) if power else 1
        size = np.exp(log_weight) @ np.abs(x) ** power
        np.testing.assert_allclose(np.exp(log_weight) @ x**power, want, atol=1e-13 * max(size, 1))


@pytest.mark.parametrize("shape", [0.5, 1.0, 2.5, 40.0, 5000.0])
@pytest.mark.parametrize("nodes", [1, 3, 20])
def test_gamma_moments(nodes, shape):
    x, log_weight = gauss_gamma(nodes, shape)
    for power in range(2 * nodes):
        want = scipy.special.gammaln(shape + power) - scipy.special.gammaln(shape)
        got = scipy.special.logsumexp(log_weight + power * np.log(x))
        np.testing.assert_allclose(got, want, atol=1e-11)


def test_one_node_fewer_is_not_exact():
    for degree in range(8):
        nodes = nodes_for_degree(degree)
        assert 2 * nodes - 1 >= degree > 2 * (nodes - 1) - 1


def test_nodes_and_weights_keep_relative_accuracy_in_the_tail():
    """Against zeros and weights of 60 digits: the last weight is 1e-87."""
    nodes, shape = 60, 1.5
    x, log_weight = gauss_gamma(nodes, shape)
    with mpmath.workdps(60):
        for i in (0, 30, -1):
            root = mpmath.findroot(
                lambda t: mpmath.laguerre(nodes, shape - 1, t), x[i], tol=1e-20, verify=False
            )
            # Abramowitz and Stegun 25.4.45, over Gamma(shape).
            weight = (
                mpmath.gamma(nodes + shape)
                * root
                / mpmath.factorial(nodes)
                / (nodes + 1) ** 2
                / mpmath.laguerre(nodes + 1, shape - 1, root) ** 2
                / mpmath.gamma(shape)
            )
            np.testing.assert_allclose(x[i], float(root), rtol=1e-13)
            np.testing.assert_allclose(log_weight[i], float(mpmath.log(weight)), atol=2e-12)
    assert log_weight[-1] < -190
    z, log_weight = gauss_normal(nodes)
    with mpmath.workdps(60):
        root = mpmath.findroot(
            lambda t: mpmath.hermite(nodes, t), z[-1] / 2**0.5, tol=1e-20, verify=False
        )
        weight = mpmath.mpf(2) ** (nodes - 1) * mpmath.factorial(nodes)
        weight /= nodes**2 * mpmath.hermite(nodes - 1, root) ** 2
    np.testing.assert_allclose(z[-1], float(root * mpmath.sqrt(2)), rtol=1e-13)
    np.testing.assert_allclose(log_weight[-1], float(mpmath.log(weight)), atol=2e-12)


@pytest.mark.parametrize("nodes", [150, 400])
def test_many_nodes(nodes):
    for x, log_weight in (gauss_normal(nodes), gauss_gamma(nodes, 0.5), gauss_gamma(nodes, 30.0)):
        assert np.all(np.diff(x) > 0)
        assert np.all(np.isfinite(log_weight))
        np.testing.assert_allclose(np.exp(log_weight).sum(), 1, rtol=1e-12)


def test_a_weight_below_the_range_of_floats_still_counts():
    """exp(-800) is zero in a float; times a loss of 1e300 it is not."""
    nodes = tl.quadrature_batch(tl.LinearRegression(shots=2), depth=1, steps=1)
    two = jax.tree.map(lambda a: a[:2], nodes)
    batch = tl.Batch(two.support, two.query, two.truth, jnp.array([-800.0, -900.0]))
    got = toylin.tasks.weighted_mean(jnp.array([1e300, 0.0]), batch)
    np.testing.assert_allclose(np.log(got), 300 * np.log(10) - 800, rtol=1e-12)


def polynomial_degrees(depth, steps):
    """Degrees in theta and S of the post-adaptation loss, by multiplying out polynomials.

    A weight is a table of coefficients of theta^i S^j with positive starts and signs such that
    nothing cancels.
    """
    weights = [np.array([[1.0]])] * depth

    def multiply(a, b):
        shape = np.add(a.shape, b.shape) - 1
        return np.fft.irfft2(np.fft.rfft2(a, shape) * np.fft.rfft2(b, shape), shape).round(9)

    def add(a, b):
        total = np.zeros(np.maximum(a.shape, b.shape))
        total[: a.shape[0], : a.shape[1]] += a
        total[: b.shape[0], : b.shape[1]] += b
        return total

    def product(factors):
        total = np.array([[1.0]])
        for factor in factors:
            total = multiply(total, factor)
        return total

    theta, s = np.array([[0.0], [1.0]]), np.array([[0.0, 1.0]])
    for _ in range(steps):
        slope = multiply(s, add(product(weights), theta))
        weights = [
            add(w, multiply(slope, product(weights[:i] + weights[i + 1 :])))
            for i, w in enumerate(weights)
        ]
    error = add(product(weights), theta)
    loss = multiply(error, error)
    return tuple(int(np.max(axis)) for axis in np.nonzero(loss > 0.5))


@pytest.mark.parametrize(("depth", "steps"), list(itertools.product([1, 2, 3], [0, 1, 2])))
def test_degrees_of_the_loss(depth, steps):
    degrees = loss_degrees(depth, steps)
    assert degrees == polynomial_degrees(depth, steps)
    few, population = tl.LinearRegression(shots=3), tl.LinearRegression(dim=3)
    in_theta, in_s = (degree // 2 + 1 for degree in degrees)
    assert count_nodes(few, depth, steps) == in_theta * in_s
    assert count_nodes(population, depth, steps) == in_theta**3
    assert tl.quadrature_batch(few, depth, steps).num_tasks == in_theta * in_s
    if depth * steps < 4:
        assert tl.quadrature_batch(population, depth, steps).num_tasks == in_theta**3


@pytest.mark.parametrize("shots", [1, 6])
@pytest.mark.parametrize(("depth", "steps"), [(2, 1), (3, 1), (2, 2), (1, 3)])
def test_three_dimensional_quadrature(depth, steps, shots):
    """The two-dimensional rule against SciPy's nodes for theta, S and n / sqrt(S), one by one."""
    mean, prior, spread, noise, step_size = 0.4, 0.8, 1.2, 0.5, 0.11
    degree_theta, degree_s = loss_degrees(depth, steps)
    z, z_weight = scipy.special.roots_hermitenorm(degree_theta // 2 + 3)
    g, g_weight = scipy.special.roots_genlaguerre(degree_s // 2 + 3, shots / 2 - 1)
    theta = (mean + prior**0.5 * z)[:, None, None]
    s = (2 * spread / shots * g)[:, None]
    n = noise / shots**0.5 * np.sqrt(s) * z
    w = [np.array(x) for x in WEIGHTS[:depth]]
    for _ in range(steps):
        slope = s * (np.prod(np.broadcast_arrays(*w), axis=0) - theta) - n
        others = [
            np.prod(np.broadcast_arrays(*w[:i], *w[i + 1 :], np.ones(())), axis=0)
            for i in range(depth)
        ]
        w = [x - step_size * slope * c for x, c in zip(w, others, strict=True)]
    loss = 0.5 * spread * (np.prod(np.broadcast_arrays(*w), axis=0) - theta) ** 2 + noise**2 / 2
    weights = (z_weight / z_weight.sum(), g_weight / g_weight.sum(), z_weight / z_weight.sum())
    want = np.einsum("tsn,t,s,n->", loss, *weights)

    tasks = tl.LinearRegression(
        theta_mean=mean, theta_cov=prior, x_cov=spread, noise_std=noise, shots=shots
    )
    rule = tl.MAML(step_size, steps)
    got, _ = value_and_grad(tl.closed_form, scalar_params(WEIGHTS[:depth]), tasks, rule)
    np.testing.assert_allclose(got, want, rtol=1e-10)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_cubature_of_theta(dim):
    """Mean, covariance and a fourth moment (Isserlis) of the nodes that stand for theta."""
    root = np.tril(np.arange(1.0, dim**2 + 1).reshape(dim, dim)) / dim**2 + 0.4 * np.eye(dim)
    cov, mean = root @ root.T, np.linspace(-0.5, 0.7, dim)
    tasks = tl.LinearRegression(
        dim=dim, theta_mean=jnp.asarray(mean), theta_cov=jnp.asarray(cov), noise_std=0.3
    )
    batch = tl.quadrature_batch(tasks, depth=2, steps=1)
    assert batch.num_tasks == 3**dim
    weight = np.exp(batch.log_weight)
    off = np.asarray(batch.truth) - mean
    np.testing.assert_allclose(weight.sum(), 1, rtol=1e-13)
    np.testing.assert_allclose(weight @ off, 0, atol=1e-14)
    np.testing.assert_allclose((weight[:, None] * off).T @ off, cov, rtol=1e-12)
    want = cov[0, 0] * cov[-1, -1] + 2 * cov[0, -1] ** 2
    np.testing.assert_allclose(weight @ (off[:, 0] ** 2 * off[:, -1] ** 2), want, rtol=1e-12)
    np.testing.assert_allclose(batch.query.ee, 0.09)


def test_few_shot_nodes_carry_the_law_of_the_support():
    """E S^k, and the covariance of S t, t the least-squares estimate, with S theta + n."""
    tasks = tl.LinearRegression(theta_mean=0.4, theta_cov=0.8, x_cov=1.3, noise_std=0.5, shots=3)
    batch = tl.quadrature_batch(tasks, depth=2, steps=1)
    weight = np.exp(batch.log_weight)
    s, t = batch.support.xx[:, 0, 0], batch.support.theta[:, 0]
    np.testing.assert_allclose(weight @ s, 1.3, rtol=1e-13)
    np.testing.assert_allclose(weight @ s**2, 1.3**2 * (1 + 2 / 3), rtol=1e-13)
    np.testing.assert_allclose(weight @ (s * t), 1.3 * 0.4, rtol=1e-13)
    want = 1.3**2 * (1 + 2 / 3) * (0.4**2 + 0.8) + 0.25 * 1.3 / 3
    np.testing.assert_allclose(weight @ (s * t) ** 2, want, rtol=1e-13)
    query = batch.query
    posterior = query.ee - 0.25 + 1.3 * query.theta[:, 0] ** 2
    np.testing.assert_allclose(weight @ posterior, 1.3 * (0.4**2 + 0.8), rtol=1e-13)
