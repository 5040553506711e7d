"""The loss on a plane, and the polynomial that a fixed batch of tasks is collected into."""

from __future__ import annotations

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_close, scalar_params

import toylin as tl

TASKS = tl.LinearRegression(theta_mean=0.3, noise_std=0.2, shots=5)
RULE = tl.MAML(0.1)
ZERO, ONE = jnp.zeros((1, 1)), jnp.ones((1, 1))
CENTRE = scalar_params([0.3, -0.2])
DIRECTIONS = ((ONE, 0.5 * ONE), (ZERO, -2 * ONE))


def direct(loss, plane):
    """Every grid point by itself."""
    function = jax.jit(loss)
    return np.array(
        [
            [
                function(scalar_params([0.3 + a, -0.2 + 0.5 * a - 2 * b]))
                for b in np.asarray(plane.second)
            ]
            for a in np.asarray(plane.first)
        ]
    )


LOSSES = {
    "exact": tl.ExactLoss(TASKS, RULE),
    "points": tl.BatchLoss(TASKS.sample(jax.random.key(0), 50, 6), RULE),
    "moments": tl.BatchLoss(TASKS.sample_moments(jax.random.key(0), 50), RULE),
    "two steps": tl.BatchLoss(TASKS.sample(jax.random.key(0), 50), tl.MAML(0.1, 2)),
    "nodes": tl.BatchLoss(tl.quadrature_batch(TASKS, 2, 1), RULE),
    "binary": tl.BatchLoss(tl.BinaryClassification(shots=4).sample(jax.random.key(0), 9), RULE),
    "function": lambda params: jnp.sum(params[0] ** 3 - params[1]),
}


@pytest.mark.parametrize("name", LOSSES)
def test_equals_evaluation_point_by_point(name):
    loss = LOSSES[name]
    plane = tl.surface(loss, CENTRE, DIRECTIONS, ((-1.0, 2.0), (-0.5, 1.5)), resolution=7)
    np.testing.assert_allclose(plane.first, np.linspace(-1.0, 2.0, 7), atol=1e-15)
    np.testing.assert_allclose(plane.second, np.linspace(-0.5, 1.5, 7), atol=1e-15)
    assert plane.loss.shape == (7, 7)
    np.testing.assert_allclose(plane.loss, direct(loss, plane), rtol=1e-10, atol=1e-12)
    assert np.ptp(plane.loss) > 0.1


def test_exact_nodes_as_a_batch():
    """The polynomial of the quadrature nodes is the exact loss."""
    planes = [
        tl.surface(LOSSES[name], CENTRE, DIRECTIONS, 2.0, resolution=9)
        for name in ("exact", "nodes")
    ]
    np.testing.assert_allclose(planes[0].loss, planes[1].loss, rtol=1e-11)


@pytest.mark.parametrize(
    ("extent", "ranges"),
    [
        (2.0, ((-2, 2), (-2, 2))),
        ((-1.0, 3.0), ((-1, 3), (-1, 3))),
        (((0.0, 1.0), (-4.0, -2.0)), ((0, 1), (-4, -2))),
    ],
)
def test_extent(extent, ranges):
    plane = tl.surface(LOSSES["function"], CENTRE, DIRECTIONS, extent, resolution=3)
    for axis, (low, high) in zip((plane.first, plane.second), ranges, strict=True):
        np.testing.assert_allclose(axis, [low, (low + high) / 2, high])


def test_more_points_than_one_block():
    """Blocks of bounded memory join without a seam (45² is no multiple of a block)."""
    loss = LOSSES["exact"]
    plane = tl.surface(loss, CENTRE, DIRECTIONS, 2.0, resolution=45)
    want = jax.vmap(
        lambda a: jax.vmap(lambda b: loss((CENTRE[0] + a, CENTRE[1] + 0.5 * a - 2 * b)))(
            plane.second
        )
    )(plane.first)
    np.testing.assert_allclose(plane.loss, want, rtol=1e-12)


def test_any_widths():
    tasks = tl.LinearRegression(dim=2, shots=4)
    loss = tl.BatchLoss(tasks.sample(jax.random.key(0), 6), RULE)
    params, u, v = (tl.init(jax.random.key(i), (2, 3, 1)) for i in range(3))
    plane = tl.surface(loss, params, (u, v), 1.0, resolution=2)
    corner = jax.tree.map(lambda p, a, b: p - a + b, params, u, v)
    np.testing.assert_allclose(plane.loss[0, 1], loss(corner), rtol=1e-12)


def batches():
    key = jax.random.key(5)
    return {
        "points": TASKS.sample(key, 20, 3),
        "moments": TASKS.sample_moments(key, 20, 3),
        "population query": TASKS.sample(key, 20),
        "nodes": tl.quadrature_batch(TASKS, depth=4, steps=1),
    }


BATCHES = batches()


@jax.jit
def both(params, batch, rule):
    polynomial = tl.batch_polynomial(batch, rule, depth=len(params))
    loss = lambda p: tl.autodiff.outer_loss(p, batch, rule)  # noqa: E731
    return [jax.value_and_grad(f)(params) for f in (polynomial, loss)]


@pytest.mark.parametrize("name", BATCHES)
@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@hypothesis.given(
    weights=st.lists(st.floats(-1.5, 1.5), min_size=4, max_size=4), step_size=st.floats(-0.1, 0.3)
)
def test_polynomial_loss(depth, name, weights, step_size):
    params = scalar_params(weights[:depth])
    (loss, grad), (want, want_grad) = both(params, BATCHES[name], tl.MAML(step_size))
    assert_close(loss, want, 1e-9)
    assert_close(grad, want_grad, 1e-9, scale=float(want))


def test_polynomial_loss_in_the_step_size():
    batch, params = BATCHES["points"], CENTRE

    def by(make):
        return jax.grad(lambda a: make(tl.MAML(a))(params))(0.12)

    got = by(lambda rule: tl.batch_polynomial(batch, rule, depth=2))
    want = by(lambda rule: tl.BatchLoss(batch, rule))
    np.testing.assert_allclose(got, want, rtol=1e-11)


def test_prepared_is_a_polynomial_only_where_it_is_one():
    batch = BATCHES["points"]
    assert not isinstance(tl.BatchLoss(batch, RULE).prepared(CENTRE), tl.BatchLoss)
    wide = tl.init(jax.random.key(0), (1, 2, 1))
    binary = tl.BinaryClassification(shots=3).sample(jax.random.key(0), 4)
    for loss, params in (
        (tl.BatchLoss(batch, tl.MAML(0.1, 2)), CENTRE),
        (tl.BatchLoss(batch, RULE), wide),
        (tl.BatchLoss(binary, RULE), CENTRE),
    ):
        assert loss.prepared(params) is loss
