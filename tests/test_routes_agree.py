"""Closed form against automatic differentiation: values, gradients, first-order gradients."""

from __future__ import annotations

import itertools
import os

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import ROUTES, assert_close, flat, scalar_params, value_and_grad

import toylin as tl
import toylin.quadrature
import toylin.tasks

RTOL = 1e-10


@jax.jit
def both(params, tasks, rule):
    """By both routes the loss, its gradient and the first-order gradient."""
    return [
        (
            *route.outer_value_and_grad(params, tasks, rule),
            route.outer_grad(params, tasks, rule.replace(first_order=True)),
        )
        for route in ROUTES
    ]


outer_loss = jax.jit(tl.closed_form.outer_loss)


def assert_routes_agree(params, tasks, step_size, steps):
    closed, auto = both(params, tasks, tl.MAML(step_size, steps))
    assert_close(closed[0], auto[0], RTOL)
    for got, want in zip(closed[1:], auto[1:], strict=True):
        assert_close(got, want, RTOL, scale=float(closed[0]))
    return closed


def largest_step(depth, steps, shots):
    """Steps below this keep every node of the quadrature in the range of floats."""
    if shots is None:
        return {1: 1.5, 2: 0.3}.get(steps, 0.1) if depth < 4 else 0.02
    # The largest node of S is about twice its degree over K, and inner steps amplify each other.
    _, degree = toylin.tasks.loss_degrees(depth, steps)
    return 0.3 * shots / (shots + degree) / steps ** (depth - 1)


SHOTS = (None, 1, 4)
ALL = os.environ.get("TOYLIN_TESTS") == "thorough"
# Each case compiles a program of its own. In CI every two of depth, steps and shots meet; the
# largest have tens of thousands of nodes, and one number of shots.
CASES = [
    (depth, steps, shots)
    for depth, steps in itertools.product(range(1, 6), range(1, 4))
    for shots in SHOTS
    if shots == SHOTS[(depth + 2 * steps) % 3] or (ALL and (shots != 1 or depth * steps <= 6))
]

weight = st.floats(0.3, 1.3).flatmap(lambda w: st.sampled_from([w, -w]))


@pytest.mark.parametrize(("depth", "steps", "shots"), CASES)
@hypothesis.given(data=st.data())
def test_scalar(depth, steps, shots, data):
    draw = data.draw
    params = scalar_params(draw(st.lists(weight, min_size=depth, max_size=depth)))
    tasks = tl.LinearRegression(
        theta_mean=draw(st.floats(-1, 1)),
        theta_cov=draw(st.floats(0.2, 1.2)),
        x_cov=draw(st.floats(0.3, 1.2)),
        noise_std=draw(st.floats(0, 1)),
        shots=shots,
    )
    # Negative step sizes too: the best one can be negative.
    fraction = draw(st.floats(0.2, 1).flatmap(lambda a: st.sampled_from([a, -0.2 * a])))
    step_size = fraction * largest_step(depth, steps, shots)
    assert_routes_agree(params, tasks, step_size, steps)


def _covariance(seed, dim):
    root = np.random.default_rng(seed).normal(size=(dim, dim)) / dim**0.5
    return root @ root.T + 0.3 * np.eye(dim)


# (widths, shots, steps): shallow population at any number of steps, shallow K-shot at one step,
# deep in the population by cubature.
COMBINATIONS = [
    ((1, 1), None, 2),
    ((2, 1), None, 3),
    ((5, 1), None, 2),
    ((2, 2, 1), None, 1),
    ((3, 2, 1), None, 1),
    ((2, 1, 3, 1), None, 1),
    ((1, 3, 1), None, 2),
    ((2, 2, 1), None, 2),
    ((1, 2, 2, 1), 3, 1),
    ((1, 2, 1), 4, 2),
]


@pytest.mark.parametrize(("widths", "shots", "steps"), COMBINATIONS)
@hypothesis.given(seed=st.integers(0, 1000), noise=st.floats(0, 1), scale=st.floats(0.3, 1.0))
@hypothesis.settings(max_examples=8)
def test_any_widths(widths, shots, steps, seed, noise, scale):
    dim = widths[0]
    tasks = tl.LinearRegression(
        dim=dim,
        theta_mean=0.4 * np.random.default_rng(seed).normal(size=dim),
        theta_cov=_covariance(seed + 1, dim),
        x_cov=_covariance(seed + 2, dim),
        noise_std=noise,
        shots=shots,
    )
    params = tl.init(jax.random.key(seed + 3), widths, scale)
    # The closed form of the shallow model is no quadrature: compare with the nodes of the other.
    _, grad, _ = assert_routes_agree(params, tasks, 0.07, steps)
    unmoved, moved = (outer_loss(params, tasks, tl.MAML(a, steps)) for a in (0.0, 0.07))
    assert abs(moved - unmoved) > 1e4 * RTOL * moved
    assert len(grad) == len(widths) - 1


@pytest.mark.parametrize("shots", [1, 2, 7])
def test_shallow_formula_and_the_quadrature_of_dimension_one(shots):
    """At depth 1 the closed form is the Wishart formula, the other route a Gauss rule."""
    tasks = tl.LinearRegression(
        theta_mean=0.3, theta_cov=0.8, x_cov=1.7, noise_std=0.4, shots=shots
    )
    assert_routes_agree(scalar_params([0.9]), tasks, 0.31, 1)


@pytest.mark.parametrize("first_order", [False, True])
@pytest.mark.parametrize(
    ("widths", "shots", "steps"),
    [((1, 1), 4, 1), ((2, 1), None, 2), ((1, 1, 1), 4, 2), ((2, 2, 1), None, 1)],
)
def test_differentiating_the_closed_loss(widths, shots, steps, first_order):
    """What meta-training does to an exact loss: it must see the gradient that the rule asks for."""
    tasks = tl.LinearRegression(dim=widths[0], theta_mean=0.4, noise_std=0.2, shots=shots)
    rule = tl.MAML(0.1, steps, first_order)
    params = tl.init(jax.random.key(0), widths)
    got = jax.jit(jax.grad(tl.closed_form.outer_loss))(params, tasks, rule)
    _, want = value_and_grad(tl.closed_form, params, tasks, rule)
    assert_close(got, want, RTOL)


@pytest.mark.parametrize("first_order", [False, True])
def test_differentiating_the_closed_adaptation(first_order):
    tasks = tl.LinearRegression(dim=2, shots=4)
    support = jax.tree.map(lambda a: a[0], tasks.sample_moments(jax.random.key(0), 1).support)
    params = tl.init(jax.random.key(1), (2, 3, 1))

    def end(route):
        adapt = lambda p: route.adapt(p, support, tl.MAML(0.1, 2, first_order))  # noqa: E731
        return jax.jit(jax.jacrev(adapt))(params)

    assert_close(end(tl.closed_form), end(tl.autodiff), 1e-12)


@pytest.mark.parametrize("depth", [2, 3])
def test_first_order_gradients_differ(depth):
    tasks = tl.LinearRegression(theta_mean=0.3, noise_std=0.2, shots=4)
    params = scalar_params([0.7, -0.9, 1.1][:depth])
    _, grad, first_order = assert_routes_agree(params, tasks, 0.1, 1)
    assert np.max(np.abs(flat(grad) - flat(first_order))) > 0.01


@jax.jit
def all_functions(params, support, batch, rule):
    """Every function of inner and outer problem by both routes, in one program."""
    return [
        {
            "inner_loss": route.inner_loss(params, support),
            "inner_grad": route.inner_grad(params, support),
            "adapt": route.adapt(params, support, rule),
            "outer_loss": route.outer_loss(params, batch, rule),
            "outer_grad": route.outer_grad(params, batch, rule),
            "first order": route.outer_grad(params, batch, rule.replace(first_order=True)),
        }
        for route in ROUTES
    ]


@pytest.mark.parametrize("points", [True, False], ids=["points", "moments"])
@pytest.mark.parametrize("widths", [(1, 1, 1), (3, 2, 1), (3, 2, 4, 1)])
def test_inner_functions_and_batches(widths, points):
    tasks = tl.LinearRegression(dim=widths[0], theta_mean=0.2, x_cov=1.3, noise_std=0.5, shots=4)
    sample = tasks.sample if points else tasks.sample_moments
    batch = sample(jax.random.key(1), num_tasks=6, num_queries=5)
    params = tl.init(jax.random.key(2), widths)
    support = jax.tree.map(lambda a: a[2], batch.support)
    rule = tl.MAML(0.1, steps=3)
    closed, auto = all_functions(params, support, batch, rule)
    for name, value in closed.items():
        assert_close(value, auto[name], 1e-12)


def test_beyond_floats_is_infinite_and_not_a_number_stays():
    """Where adaptation at a node overflows the loss is inf; NaN weights still show as NaN."""
    tasks = tl.LinearRegression(noise_std=0.2, shots=2)
    rule = tl.MAML(step_size=50.0, steps=3)
    for route in ROUTES:
        loss, _ = value_and_grad(route, scalar_params([1.0] * 4), tasks, rule)
        assert loss == jnp.inf
        loss, _ = value_and_grad(route, scalar_params([jnp.nan] * 4), tasks, rule)
        assert jnp.isnan(loss)
