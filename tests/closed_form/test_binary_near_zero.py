"""The integrals of a binary population near a start of zero, of a function with a formula."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

import toylin as tl
from toylin.closed_form import _binary


def wave(params, batch, rule):
    """|m|² cos(u'm) at class means m, whose expectation is (d - |u|²) exp(-|u|²/2)."""
    mean = batch.truth[0]
    return jnp.sum(mean**2) * jnp.cos(params[0][0] @ mean)


def test_what_is_small_is_smaller_where_means_are_long():
    """A first layer of 1e-4 is not near zero beside means of 784 numbers."""
    dim, length = 784, 1e-4
    tasks = tl.BinaryClassification(dim, mean_std=1.0, x_cov=1e-4)

    def loss(u):
        return _binary.outer_loss((u[None],), tasks, tl.MAML(0.1), wave)

    start, across = length * np.eye(dim)[:2]
    change = jax.jit(lambda u, v: jax.jvp(jax.grad(loss), (u,), (v,))[1])(start, across / length)
    want = -(2 + dim - length**2) * np.exp(-(length**2) / 2)
    np.testing.assert_allclose(change[:2], [0, want], rtol=1e-10, atol=1e-10)


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
