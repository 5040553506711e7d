"""Draws as one row: the numbers of ``jax.random``, bit for bit."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from toylin._internal import flat_draws

KEY = jax.random.key(3)


@pytest.mark.parametrize("shape", [(), (4,), (3, 5), (2, 3, 4), (0, 3)])
def test_the_numbers_are_those_of_jax(shape):
    ends = 7 + jnp.arange(np.prod(shape, dtype=int)).reshape(shape)

    def ours(key):
        return (
            flat_draws.normal(key, shape, jnp.float32),
            flat_draws.uniform(key, shape, jnp.float64, -1.0, 2.0),
            flat_draws.bits(key, shape),
            flat_draws.integers(key, ends),
        )

    def theirs(key):
        return (
            jax.random.normal(key, shape, jnp.float32),
            jax.random.uniform(key, shape, jnp.float64, -1.0, 2.0),
            jax.random.bits(key, shape),
            jax.random.randint(key, shape, 0, ends),
        )

    keys = jax.random.split(KEY, 3)
    for got, want in zip(jax.vmap(ours)(keys), jax.vmap(theirs)(keys), strict=True):
        np.testing.assert_array_equal(got, want)
        assert got.dtype == want.dtype
