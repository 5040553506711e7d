"""Two layers in many dimensions: Gaussian moments against the cubature, autodiff and sampling."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import toylin as tl


def covariance(seed: int, dim: int) -> jax.Array:
    root = jax.random.normal(jax.random.key(seed), (dim, dim + 1))
    return root @ root.T / dim


def problem(seed: int, dim: int) -> tl.LinearRegression:
    return tl.LinearRegression(
        dim=dim,
        theta_mean=jax.random.normal(jax.random.key(seed + 1), (dim,)),
        theta_cov=covariance(seed + 2, dim),
        x_cov=covariance(seed + 3, dim),
        noise_std=0.3,
    )


@given(
    shape=st.sampled_from([(1, 3), (2, 1), (2, 2), (3, 4)]),
    seed=st.integers(0, 999),
    step_size=st.floats(-0.5, 0.5),
    first_order=st.booleans(),
)
def test_moments_agree_with_the_cubature(shape, seed, step_size, first_order):
    dim, width = shape
    tasks = problem(seed, dim)
    rule = tl.MAML(step_size=step_size, first_order=first_order)
    params = tl.init(jax.random.key(seed), (dim, width, 1))
    nodes = tl.quadrature_batch(tasks, depth=2, steps=1)
    np.testing.assert_allclose(
        tl.closed_form.outer_loss(params, tasks, rule),
        tl.autodiff.outer_loss(params, nodes, rule),
        rtol=1e-10,
    )
    expected = tl.autodiff.outer_grad(params, nodes, rule)
    size = max(float(jnp.abs(g).max()) for g in expected)
    for ours, theirs in zip(tl.closed_form.outer_grad(params, tasks, rule), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10 * size)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_hundred_dimensions_agree_with_sampled_tasks(seed):
    dim = 100
    tasks = problem(seed, dim)
    params = tl.init(jax.random.key(seed), (dim, 7, 1))
    rule = tl.MAML(step_size=0.05)
    losses = tl.autodiff.task_losses(params, tasks.sample(jax.random.key(9), 2_000), rule)
    exact = tl.closed_form.outer_loss(params, tasks, rule)
    stderr = jnp.std(losses) / losses.size**0.5
    assert stderr < 0.03 * exact
    assert abs(jnp.mean(losses) - exact) < 4 * stderr
    assert abs(exact - tl.closed_form.outer_loss(params, tasks, tl.MAML(0.0))) > 20 * stderr


def test_the_gradient_in_a_hundred_dimensions_is_the_derivative():
    tasks, rule = problem(3, 100), tl.MAML(step_size=0.05)
    params = tl.init(jax.random.key(0), (100, 5, 1))
    expected = jax.grad(lambda p: tl.closed_form.outer_loss(p, tasks, rule))(params)
    for ours, theirs in zip(tl.closed_form.outer_grad(params, tasks, rule), expected, strict=True):
        np.testing.assert_allclose(
            ours, theirs, rtol=1e-9, atol=1e-9 * float(jnp.abs(theirs).max())
        )
