"""Tasks in a subspace: a covariance of theta of lower rank."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_close
from hypothesis import given, settings
from hypothesis import strategies as st

import toylin as tl
from toylin.tasks import semidefinite_root

DIM = 4
X_COV = jnp.asarray(np.diag([1.2, 0.7, 1.0, 0.4]) + 0.1)


def rows(rank, seed=0, spread=0.0):
    """A basis of a subspace, its directions of sizes that differ by ``exp(spread)``."""
    random = np.random.default_rng(seed)
    return random.normal(size=(rank, DIM)) * np.exp(spread * random.uniform(-1, 1, DIM))


@settings(max_examples=60)
@given(rank=st.integers(1, DIM), seed=st.integers(0, 10**6), spread=st.sampled_from([0, 3, 20]))
def test_the_root_spans_the_range_and_nothing_else(rank, seed, spread):
    basis = rows(rank, seed, spread)
    cov = basis.T @ basis
    root = np.asarray(_root(cov))
    std = np.sqrt(np.diag(cov))
    np.testing.assert_allclose(
        root @ root.T / np.outer(std, std), cov / np.outer(std, std), atol=1e-13
    )
    scaled = np.linalg.qr((basis / std).T)[0]  # columns that span the range, to full precision
    outside = root / std[:, None] - scaled @ (scaled.T @ (root / std[:, None]))
    assert np.max(np.abs(outside)) < 1e-11
    if rank == DIM:
        np.testing.assert_array_equal(root, jnp.linalg.cholesky(cov))


_root = jax.jit(lambda cov: semidefinite_root(cov, DIM))


def test_a_small_variance_is_no_zero_and_a_zero_is_one():
    np.testing.assert_array_equal(_root(jnp.diag(jnp.array([1.0, 1e-20, 3.0, 4.0])))[1, 1], 1e-10)
    root = _root(jnp.diag(jnp.array([1.0, 0.0, 3.0, 4.0])))
    np.testing.assert_array_equal(root[1], 0)


def test_draws_lie_in_the_subspace_and_have_the_covariance():
    basis, num = rows(2), 20_000
    cov, mean = basis.T @ basis, 0.3
    tasks = tl.LinearRegression(DIM, mean, cov, shots=3)
    moments = tasks.sample_moments(jax.random.key(1), num, noiseless=True).truth
    several = tl.LinearRegression(DIM, mean, cov, outputs=2).sample_theta(jax.random.key(2), num)
    for theta in (moments, several):
        theta = np.asarray(theta).reshape(-1, DIM) - mean
        off = theta - theta @ np.linalg.pinv(basis) @ basis
        assert np.max(np.abs(off)) < 1e-13
        products = np.einsum("ti,tj->tij", theta, theta)
        error = products.std(0) / len(theta) ** 0.5
        assert np.all(np.abs(products.mean(0) - cov) < 5 * error)


def by_coordinates(params, basis, rule):
    """The outer loss by nodes for the coordinates in the subspace: NumPy's rule, two of them."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(6)
    weights = np.log(np.outer(weights, weights).ravel() / weights.sum() ** 2)
    u = np.stack(np.meshgrid(nodes, nodes, indexing="ij"), -1).reshape(-1, 2)
    population = tl.LinearRegression(DIM, x_cov=X_COV, noise_std=0.2).population(0.3 + u @ basis)
    return tl.autodiff.outer_loss(
        params, tl.Batch(population, population, log_weight=jnp.asarray(weights)), rule
    )


@pytest.mark.parametrize("widths", [(DIM, 1), (DIM, 3, 1)])
def test_exact_losses_are_those_of_tasks_in_the_subspace(widths):
    basis, rule = rows(2), tl.MAML(0.2)
    params = tl.init(jax.random.key(0), widths)
    tasks = tl.LinearRegression(DIM, 0.3, basis.T @ basis, X_COV, noise_std=0.2)
    want = jax.value_and_grad(by_coordinates)(params, basis, rule)
    assert_close(tl.closed_form.outer_value_and_grad(params, tasks, rule), want, rtol=1e-12)
    wider = tl.LinearRegression(DIM, 0.3, basis.T @ basis + 0.1 * np.eye(DIM), X_COV, noise_std=0.2)
    assert tl.closed_form.outer_loss(params, wider, rule) > 1.01 * want[0]


@pytest.mark.parametrize(
    ("kind", "shots"), [("full", None), ("full", 5), ("diagonal", None), ("scalar", 5)]
)
def test_the_best_preconditioner_of_tasks_in_a_subspace(kind, shots):
    basis = rows(2)
    basis[:, 3] = 0  # an axis along which theta does not vary
    x_cov = jnp.diag(jnp.diag(X_COV))
    tasks = tl.LinearRegression(DIM, 0.3, basis.T @ basis, x_cov, 0.2, shots)
    best = tl.best_preconditioner(tasks, kind)
    start = tl.shallow_optimum(tasks)

    def loss(matrix):
        rule = tl.MetaKFO(((jnp.ones((1, 1)), matrix),), 1.0, psd=False)
        return tl.closed_form.outer_loss(start, tasks, rule)

    np.testing.assert_allclose(best.loss, loss(best.matrix), rtol=1e-12)
    by_rule = tl.closed_form.outer_loss(start, tasks, best.rule)
    np.testing.assert_allclose(best.loss, by_rule, rtol=1e-12)
    slope = jax.grad(loss)(best.matrix)
    allowed = {"full": slope, "diagonal": jnp.diag(slope), "scalar": jnp.trace(slope)}[kind]
    np.testing.assert_allclose(allowed, 0, atol=1e-12)
    if kind == "full" and shots is not None:  # nothing moves out of the subspace
        off = np.eye(DIM) - np.linalg.pinv(basis) @ basis
        np.testing.assert_allclose(off @ best.matrix, 0, atol=1e-12)


def test_gradients_of_draws_in_a_covariance_of_full_rank():
    """At equal variances too, where eigenvectors have no derivative; NaN at lower rank."""
    z = jax.random.normal(jax.random.key(0), (6, 2))

    @jax.jit
    def slopes(cov):
        return jax.grad(lambda c: jnp.sum(tl.LinearRegression(2, theta_cov=c).theta_of(z) ** 3))(
            cov
        )

    def by_hand(cov):
        lower = np.linalg.cholesky(cov)
        return np.sum((np.asarray(z) @ lower.T) ** 3)

    h, eye = 1e-6, np.eye(2)
    got = slopes(jnp.eye(2))
    for i, j in ((0, 0), (0, 1), (1, 1)):
        to = np.zeros((2, 2))
        to[i, j] = to[j, i] = 1
        want = (by_hand(eye + h * to) - by_hand(eye - h * to)) / (2 * h)
        np.testing.assert_allclose(np.sum(got * to), want, rtol=1e-7)
    assert np.all(np.isnan(slopes(jnp.ones((2, 2)))))


def test_what_is_a_covariance_of_lower_rank():
    one = np.array([[1.0, 2.0], [2.0, 4.0]])
    rounded = np.asarray(rows(2), np.float32)
    tl.LinearRegression(DIM, theta_cov=rounded.T @ rounded)
    tl.LinearRegression(2, theta_cov=one)
    tl.LinearRegression(2, theta_cov=np.diag([1e-30, 0.0]))
    wanted = r"theta_cov must be positive semidefinite and not zero, got"
    for bad in (np.zeros((2, 2)), one - 1e-9 * np.eye(2), np.diag([1.0, -1e-12]), -one):
        with pytest.raises(ValueError, match=wanted):
            tl.LinearRegression(2, theta_cov=bad)
    for name in ("x_cov", "output_cov"):
        with pytest.raises(ValueError, match=f"{name} must be positive definite, got"):
            tl.LinearRegression(2, outputs=2, **{name: one})
