"""Where numbers leave the range of floats: the loss is right or inf, a gradient entry right or not
finite; never NaN from finite input, never a finite number that is wrong."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import ROUTES, scalar_params, value_and_grad
from hypothesis import given, settings
from hypothesis import strategies as st

import toylin as tl
from toylin import symbolic


def sized(low, high):
    return st.builds(
        lambda m, e: float(f"{m}e{e}"), st.sampled_from([-9, -2, 1, 3, 7]), st.integers(low, high)
    )


def exact_answer(weights, tasks, rule):
    """Loss and gradient by rational arithmetic, as floats; inf beyond them."""
    loss, grad = symbolic.outer_value_and_grad(weights, tasks, rule)

    def to_float(x):
        try:
            return int(x.numerator) / int(x.denominator)
        except OverflowError:
            return np.inf if x.numerator > 0 else -np.inf

    return to_float(loss), np.array([to_float(g) for g in grad])


def reach(weights, tasks, step_size):
    """How large the terms are whose rounding adds up in the adapted product."""
    w = [abs(weight) for weight in weights]
    others = [math.prod([*w[:i], *w[i + 1 :]]) for i in range(len(w))]
    slope = 10 * (math.prod(w) + 1)
    return math.prod(x + abs(step_size) * slope * c for x, c in zip(w, others, strict=True))


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("shots", [None, 5])
@settings(max_examples=25)
@given(data=st.data())
def test_right_or_infinite_and_never_a_wrong_number(depth, shots, data):
    tasks = tl.LinearRegression(theta_mean=0.3, noise_std=0.2, shots=shots)
    weights = data.draw(st.tuples(*[sized(-40, 40)] * depth))
    step = data.draw(st.one_of(sized(-20, 3), sized(150, 250)))
    rule = tl.MAML(step)
    loss, grad = exact_answer(weights, tasks, rule)
    rounding = 1e-13 * reach(weights, tasks, step)
    for route in ROUTES:
        got, got_grad = value_and_grad(route, scalar_params(weights), tasks, rule)
        got, got_grad = float(got), np.array([float(g[0, 0]) for g in got_grad])
        assert not np.isnan(got)
        if np.isinf(loss):
            assert got == np.inf
        elif np.isfinite(got):
            assert abs(got - loss) <= 1e-9 * (loss + 1) + rounding * (loss**0.5 + rounding)
        else:  # something on the way is larger than the result
            assert max(reach(weights, tasks, step), abs(step) ** 2) > 1e60
        assert not np.any(np.isfinite(got_grad) & np.isinf(grad))
        if rounding < 1e-10:
            known = np.isfinite(got_grad)
            scale = 1 + np.max(np.abs(grad[np.isfinite(grad)]), initial=0.0)
            assert np.all(np.abs(got_grad - grad)[known] <= 1e-8 * scale)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    ("widths", "tasks", "steps"),
    [
        ((1, 1), tl.LinearRegression(noise_std=0.2, shots=5), 1),
        ((1, 1, 1), tl.LinearRegression(noise_std=0.2, shots=5), 1),
        ((1, 1, 1), tl.LinearRegression(noise_std=0.2), 2),
        ((2, 1), tl.LinearRegression(dim=2, x_cov=jnp.diag(jnp.array([1.0, 3.0]))), 2),
        ((2, 3, 1), tl.LinearRegression(dim=2), 1),
        ((2, 2, 2, 1), tl.LinearRegression(dim=2), 1),
    ],
)
def test_a_step_that_leaves_floats(route, widths, tasks, steps):
    """By every route of the table, in both precisions, alone and mapped."""
    for dtype, step in ((np.float32, 1e30), (np.float64, 1e200)):
        params = tl.init(jax.random.key(0), widths, dtype=dtype)
        loss, grads = value_and_grad(route, params, tasks, tl.MAML(jnp.asarray(step, dtype), steps))
        assert float(loss) == np.inf
        assert not any(np.any(np.isfinite(g)) for g in jax.tree.leaves(grads))
    steps_in_a_row = jnp.array([0.1, 1e200])
    many = jax.vmap(lambda a: route.outer_loss(params, tasks, tl.MAML(a, steps)))(steps_in_a_row)
    assert np.isfinite(many[0])
    assert many[1] == np.inf


@pytest.mark.parametrize("route", ROUTES)
def test_not_a_number_stays_one(route):
    """What is NaN because it was given is not called infinite."""
    tasks = tl.LinearRegression(noise_std=0.2, shots=5)
    loss = jax.jit(
        lambda w, a, m: route.outer_loss(
            (w, jnp.ones((1, 1))),
            tl.LinearRegression(theta_mean=m, noise_std=0.2, shots=5),
            tl.MAML(a),
        )
    )
    one = jnp.ones((1, 1))
    assert np.isfinite(loss(one, 0.1, 0.3))
    for given_nan in ((one * jnp.nan, 0.1, 0.3), (one, jnp.nan, 0.3), (one, 0.1, jnp.nan)):
        assert np.isnan(loss(*given_nan))
    batch = tl.quadrature_batch(tasks, depth=2, steps=1)
    spoilt = jax.tree.map(lambda x: x * jnp.nan, batch.support)
    nan_batch = tl.Batch(spoilt, batch.query, batch.truth, batch.log_weight)
    assert np.isnan(route.outer_loss((one, one), nan_batch, tl.MAML(0.1)))


@pytest.mark.parametrize("route", ROUTES)
def test_the_gradient_of_an_infinite_loss_is_not_zero(route):
    """Neither is what ``jax.grad`` makes of it."""
    tasks = tl.LinearRegression(noise_std=0.2, shots=5)
    for weights in ((1e30, 1e30), (-1e80, 1e10)):
        grads = jax.grad(route.outer_loss)(scalar_params(weights), tasks, tl.MAML(0.1))
        assert not any(np.isfinite(float(g[0, 0])) for g in grads)
