"""The integrals of a binary population near a start of zero, of a function with a formula."""

from __future__ import annotations

from functools import partial, reduce

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import toylin as tl
from toylin.closed_form import _binary


def wave(params, batch, rule):
    """|m|² exp(w'm) at class means m, w the product of all layers."""
    mean = batch.truth[0]
    return jnp.sum(mean**2) * jnp.exp(tl.end_to_end(params)[0] @ mean)


def expected_wave(u, v):
    """(d + |v u|²) exp(|v u|²/2), over means of N(0, 1) numbers."""
    square = v**2 * jnp.sum(u**2)
    return (len(u) + square) * jnp.exp(square / 2)


def loss(tasks, u, v):
    return _binary.outer_loss((u[None], jnp.reshape(v, (1, 1))), tasks, tl.MAML(1e-3), wave)


@pytest.mark.parametrize(
    ("dim", "length", "weight"),
    [
        # A first layer of 1e-4 is not near zero beside means of 784 numbers, whatever is above.
        (784, 1e-4, 1e3),
        # Zero would be as good to 1e-8, and to 1e-18 where the quotient has lost its digits.
        (2, 8e-5, -1e3),
        (2, 1e-9, 1e3),
    ],
)
def test_what_is_small_is_smaller_beside_what_is_large(dim, length, weight):
    """Second derivatives across a first layer, whose product with the other is ``length`` long."""
    tasks = tl.BinaryClassification(dim, mean_std=1.0, x_cov=1e-4)
    start, across = length / weight * np.eye(dim)[:2]

    @jax.jit
    def change(u, direction):
        return jax.jvp(jax.grad(partial(loss, tasks)), (u, weight), (direction, 0.0))[1]

    want = weight**2 * (2 + dim + length**2) * np.exp(length**2 / 2)
    found = change(start, across * weight / length)
    np.testing.assert_allclose(found[:2], [0, want], rtol=1e-10, atol=1e-10 * want)


def test_second_derivatives_at_zero_and_a_negative_step():
    tasks, rule = tl.BinaryClassification(2, mean_std=1.0, x_cov=1.0), tl.MAML(-0.1)
    slope = jax.grad(lambda u: _binary.outer_loss((u[None],), tasks, rule, wave))
    zero, direction = jnp.zeros(2), jnp.array([0.3, 0.4])
    np.testing.assert_allclose(jax.jvp(slope, (zero,), (direction,))[1], 4 * direction, rtol=1e-10)


def test_third_derivatives():
    """In both layers, at 0 and away from it: the first two are written out, this one is JAX's."""
    tasks = tl.BinaryClassification(2, mean_std=1.0, x_cov=1.0)
    first, second, third = (
        (jnp.array(u), v) for u, v in (([0.6, 0.8], 1.0), ([1.0, -0.5], 0.3), ([-0.2, 0.7], -0.8))
    )

    def along(function, direction):
        return lambda *at: jax.jvp(function, at, direction)[1]

    found, want = (
        jax.jit(reduce(along, (first, second, third), function))
        for function in (partial(loss, tasks), expected_wave)
    )
    for u in ([0.3, -0.2], [0.0, 0.0]):
        at = jnp.array(u), 0.9
        np.testing.assert_allclose(found(*at), want(*at), rtol=1e-9)


@pytest.mark.parametrize("size", [1.0, 1e200, 1e-200])
@pytest.mark.parametrize("direction", [(0.6, -0.8, 0.0), (0.0, 1.0, 0.0)])
def test_a_length_and_a_direction_of_any_size(size, direction):
    length, found = _binary._polar(jnp.array(direction) * size)
    np.testing.assert_allclose(length, size, rtol=1e-15)
    np.testing.assert_allclose(found, direction, rtol=1e-15)


def test_the_sign_of_upper_weights_does_not_say_what_is_near_zero():
    """Nor is all near it where they are zero. Across u the Hessian is |gradient| / |u|: the loss
    depends on |u| alone."""
    u, tasks, rule = jnp.array([0.3, -0.4]), tl.BinaryClassification(2), tl.MAML(0.5)
    across = jnp.array([0.8, 0.6])

    @jax.jit
    def along_and_across(weight):
        def loss(u):
            return tl.closed_form.outer_loss((u[None], weight.reshape(1, 1)), tasks, rule)

        gradient = jax.grad(loss)
        return gradient(u), jax.jvp(gradient, (u,), (across,))[1]

    for weight in (-0.9, 0.0, 0.9):
        gradient, change = along_and_across(jnp.asarray(weight))
        np.testing.assert_allclose(gradient @ across, 0.0, atol=1e-14)
        np.testing.assert_allclose(change, gradient @ u / (u @ u) * across, atol=1e-12)
