"""Two layers of several outputs: Gaussian moments against NumPy's cubature, samples and autodiff.

The reference knows the loss of one task only: it takes the inner step on the population loss of
that task, and its derivative is a complex step.
"""

from __future__ import annotations

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import toylin as tl

# outputs, dimension, hidden width: one below both, one above both, all different, one output.
SHAPES = [(2, 2, 1), (2, 2, 5), (2, 1, 3), (1, 2, 2)]
ORDINARY = {"seed": 0, "step_size": 0.3, "far": 1.0, "noise": 0.4, "smallest": 0.3, "scale": 1.0}


def covariance(rng, size, smallest):
    """Of any orientation, with eigenvalues from ``smallest`` to 2."""
    vectors = np.linalg.qr(rng.normal(size=(size, size)))[0]
    product = vectors * np.geomspace(2.0, smallest, size) @ vectors.T
    return (product + product.T) / 2


def problem(shape, seed, far=1.0, noise=0.4, smallest=0.3, scale=1.0, **_):
    outputs, dim, width = shape
    rng = np.random.default_rng(seed)
    options = {"output_cov": covariance(rng, outputs, smallest)} if outputs > 1 else {}
    tasks = tl.LinearRegression(
        dim=dim,
        outputs=outputs,
        theta_mean=far * rng.normal(size=(outputs, dim) if outputs > 1 else dim),
        theta_cov=covariance(rng, dim, smallest),
        x_cov=covariance(rng, dim, 0.2),
        noise_std=noise,
        **options,
    )
    params = scale * rng.normal(size=(width, dim)), scale * rng.normal(size=(outputs, width))
    return params, tasks


def root(cov):
    values, vectors = np.linalg.eigh(cov)
    return vectors * np.sqrt(values) @ vectors.T


def theta_of(z, tasks):
    """True parameters, from N(0, 1) numbers of shape (tasks, outputs, dim)."""
    rows = np.eye(1) if tasks.output_cov is None else np.asarray(tasks.output_cov)
    return tasks.theta_mean + root(rows) @ z @ root(np.asarray(tasks.theta_cov))


def inner_gradient(u, v, theta, sigma):
    """Of half the mean squared error of x -> v u x on targets theta x."""
    slope = (v @ u - theta) @ sigma
    return np.swapaxes(v, -1, -2) @ slope, slope @ np.swapaxes(u, -1, -2)


def adapted(u, v, theta, tasks, step_size):
    g_u, g_v = inner_gradient(u, v, theta, tasks.x_cov)
    return u - step_size * g_u, v - step_size * g_v


def task_losses(u, v, theta, tasks, step_size):
    u, v = adapted(u, v, theta, tasks, step_size)
    miss = v @ u - theta
    return 0.5 * np.sum(miss @ tasks.x_cov * miss, (1, 2)) + tasks.outputs * tasks.noise_std**2 / 2


def by_cubature(params, tasks, step_size, first_order):
    """Loss and gradient: three nodes for each entry of theta, since the loss has degree 4 in it."""
    z, weights = np.polynomial.hermite_e.hermegauss(3)
    count = tasks.outputs * tasks.dim
    grid = np.array([*itertools.product(z, repeat=count)])
    weight = np.array([*itertools.product(weights, repeat=count)]).prod(1)
    weight /= weight.sum()
    theta = theta_of(grid.reshape(-1, tasks.outputs, tasks.dim), tasks)
    loss = weight @ task_losses(*params, theta, tasks, step_size)
    if first_order:
        at_end = inner_gradient(*adapted(*params, theta, tasks, step_size), theta, tasks.x_cov)
        return loss, tuple(np.tensordot(weight, g, 1) for g in at_end)
    grads = tuple(np.zeros_like(w) for w in params)
    for layer, grad in enumerate(grads):
        for at in np.ndindex(grad.shape):
            moved = [w.astype(complex) for w in params]
            moved[layer][at] += 1e-30j
            grad[at] = (weight @ task_losses(*moved, theta, tasks, step_size)).imag / 1e-30
    return loss, grads


@partial(jax.jit, static_argnames="first_order")
def ours(params, tasks, step_size, first_order):
    rule = tl.MAML(step_size, first_order=first_order)
    assert tl.closed_form.route(params, tasks, rule).name == "Gaussian moments"
    value = tl.closed_form.outer_loss(params, tasks, rule)
    slope = jax.grad(tl.closed_form.outer_loss)(params, tasks, rule)
    return value, slope, tl.closed_form.outer_value_and_grad(params, tasks, rule)


@pytest.mark.parametrize("first_order", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
@given(
    seed=st.integers(0, 10**6),
    step_size=st.floats(-1.0, 1.0),
    far=st.sampled_from([0.0, 1.0, 100.0]),
    noise=st.sampled_from([0.0, 0.4]),
    smallest=st.sampled_from([0.3, 1e-12]),
    scale=st.sampled_from([0.0, 0.1, 1.0]),
)
@example(**ORDINARY)
@example(**{**ORDINARY, "step_size": -0.4})
@example(**{**ORDINARY, "far": 100.0, "noise": 0.0})
@example(**{**ORDINARY, "smallest": 1e-12, "noise": 0.0})
@example(**{**ORDINARY, "scale": 0.0, "far": 0.0})
def test_value_and_gradient_against_a_cubature_of_the_plain_loss(
    shape, first_order, step_size, **options
):
    params, tasks = problem(shape, **options)
    loss, grads = by_cubature(params, tasks, step_size, first_order)
    value, slope, both = ours(tuple(map(jnp.asarray, params)), tasks, step_size, first_order)
    np.testing.assert_allclose([value, both[0]], loss, rtol=1e-10)
    size = max(loss, *(np.abs(g).max() for g in grads))
    for found in (slope, both[1]):
        for mine, theirs in zip(found, grads, strict=True):
            assert mine.shape == theirs.shape
            np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-10 * size)


@pytest.mark.parametrize("shape", [(5, 7, 3), (4, 3, 20)])
def test_sampled_tasks_at_sizes_that_no_cubature_reaches(shape):
    params, tasks = problem(shape, seed=1, scale=0.5)
    theta = theta_of(np.random.default_rng(2).normal(size=(40_000, *shape[:2])), tasks)
    losses = task_losses(*params, theta, tasks, 0.1)
    along = [np.cos(np.arange(w.size)).reshape(w.shape) for w in params]
    ahead, behind = (
        task_losses(*(w + h * d for w, d in zip(params, along, strict=True)), theta, tasks, 0.1)
        for h in (1e-5, -1e-5)
    )
    slopes = (ahead - behind) / 2e-5
    params = tuple(map(jnp.asarray, params))
    loss = tl.closed_form.outer_loss(params, tasks, tl.MAML(0.1))
    stderr = losses.std() / len(losses) ** 0.5
    assert stderr < 0.01 * loss
    assert abs(losses.mean() - loss) < 4 * stderr
    assert abs(loss - tl.closed_form.outer_loss(params, tasks, tl.MAML(0.0))) > 20 * stderr
    grads = tl.closed_form.outer_grad(params, tasks, tl.MAML(0.1))
    slope = sum(np.sum(g * d) for g, d in zip(grads, along, strict=True))
    assert slopes.std() / len(slopes) ** 0.5 < 0.05 * abs(slope)
    assert abs(slopes.mean() - slope) < 4 * slopes.std() / len(slopes) ** 0.5


def test_the_gradient_at_such_sizes_is_the_derivative_and_flows_to_the_law_and_the_step():
    params, tasks = problem((5, 7, 3), seed=3, scale=0.5)
    params = tuple(map(jnp.asarray, params))

    def loss(params, step_size, noise, mean):
        law = tl.LinearRegression(
            7, mean, tasks.theta_cov, tasks.x_cov, noise, None, 5, tasks.output_cov
        )
        return tl.closed_form.outer_loss(params, law, tl.MAML(step_size))

    at = (params, jnp.asarray(0.2), jnp.asarray(0.4), jnp.asarray(tasks.theta_mean))
    slopes = jax.grad(loss, argnums=(0, 1, 2, 3))(*at)
    grads = tl.closed_form.outer_grad(params, tasks, tl.MAML(0.2))
    for mine, theirs in zip(grads, slopes[0], strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-12 * jnp.abs(theirs).max())
    direction = jax.tree.map(lambda x: jnp.cos(jnp.arange(x.size)).reshape(x.shape), at)
    ahead, behind = (
        loss(*jax.tree.map(lambda x, d, h=h: x + h * d, at, direction)) for h in (1e-5, -1e-5)
    )
    along = sum(
        jnp.sum(a * b) for a, b in zip(*map(jax.tree.leaves, (slopes, direction)), strict=True)
    )
    np.testing.assert_allclose(along, (ahead - behind) / 2e-5, rtol=1e-7)


def test_small_losses_keep_their_digits():
    """W_2 = 0 and W_1'W_1 = (1 + t)² / (a Sigma): one step leaves the share (1 + t)² - 1 of all."""
    sigma, rows, t = jnp.array([[1.0, 0.3], [0.3, 0.5]]), jnp.array([[2.0, 0.5], [0.5, 1.0]]), 1e-5
    tasks = tl.LinearRegression(dim=2, outputs=2, theta_cov=0.7, x_cov=sigma, output_cov=rows)
    u = (1 + t) * jnp.linalg.cholesky(jnp.linalg.inv(sigma) / 0.1).T
    found = tl.closed_form.outer_loss((u, jnp.zeros((2, 2))), tasks, tl.MAML(0.1))
    unadapted = 0.5 * 0.7 * jnp.trace(sigma) * jnp.trace(rows)
    np.testing.assert_allclose(found, (2 * t + t**2) ** 2 * unadapted, rtol=1e-9)
