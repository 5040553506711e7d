"""What ``jax.vmap`` hides from the function that it maps."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from toylin._internal.batching import all_at_once
from toylin.quadrature import expected_softplus


def test_all_at_once_sees_every_axis_that_is_mapped():
    seen = []

    def add(x, y):
        seen.append((x.shape, y.shape))
        return x + y, x - y

    over_columns = jax.vmap(all_at_once(add), in_axes=(1, 0))
    x, y = np.arange(30.0).reshape(5, 2, 3), np.arange(3.0)
    total, difference = jax.vmap(over_columns, in_axes=(0, None))(x, y[:, None] * [1.0, 2.0])
    assert seen[-1] == ((5, 3, 2), (5, 3, 2))
    np.testing.assert_array_equal(total, x.swapaxes(1, 2) + y[:, None] * [1.0, 2.0])
    np.testing.assert_array_equal(difference, x.swapaxes(1, 2) - y[:, None] * [1.0, 2.0])


def test_softplus_mapped_over_both_of_its_ways():
    """Where no element needs a way it is left out; the numbers are those of an element alone."""
    mean, variance = jnp.array([-2.0, 0.0, 1.5, 3.0]), jnp.array([0.0, 0.5, 1.0, 40.0])
    both = jax.jit(jax.vmap(jax.value_and_grad(expected_softplus, (0, 1))))
    alone = jax.jit(jax.value_and_grad(expected_softplus, (0, 1)))
    mapped = jax.tree.map(np.asarray, both(mean, variance))
    for i in range(len(mean)):
        one = jax.tree.map(np.asarray, alone(mean[i], variance[i]))
        jax.tree.map(lambda a, b, i=i: np.testing.assert_allclose(a[i], b, rtol=1e-14), mapped, one)
