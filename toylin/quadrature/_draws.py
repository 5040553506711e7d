"""Draws of the statistics that a loss needs, in place of the samples behind them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from toylin._internal.shapes import Array, Float, PRNGKeyArray

# Beyond this many degrees of freedom JAX's rejection sampler is cheaper than a product of uniforms.
_MOST_UNIFORMS = 64


def mean_square(
    key: PRNGKeyArray, points: int, shape: tuple[int, ...], dtype: np.dtype
) -> Float[Array, "*shape"]:
    """The mean of the squares of ``points`` independent N(0, 1) numbers: chi²_K / K.

    Two degrees of freedom are an exponential variable, -2 log(uniform), so that K of them cost K/2
    uniforms and few logarithms, with no rejection and no branch.
    """
    if points > _MOST_UNIFORMS:
        return jax.random.chisquare(key, points, shape=shape, dtype=dtype) / points
    key_pairs, key_odd = jax.random.split(key)
    total = jnp.zeros(shape, dtype)
    if points >= 2:
        # 1 - u lies in (0, 1] and is at least 2^-24, so that a product of four cannot underflow.
        u = 1 - jax.random.uniform(key_pairs, (points // 2, *shape), dtype)
        for start in range(0, points // 2, 4):
            total -= 2 * jnp.log(jnp.prod(u[start : start + 4], axis=0))
    if points % 2:
        total += jax.random.normal(key_odd, shape, dtype) ** 2
    return total / points


def wishart_root(
    key: PRNGKeyArray, points: int, dim: int, num: int, dtype: np.dtype
) -> Float[Array, "num dim dim"]:
    """Lower triangular A with A A' ~ Wishart_dim(identity, points), by Bartlett's decomposition.

    Needs points >= dim.
    """
    key_diag, key_low = jax.random.split(key)
    freedom = jnp.arange(points, points - dim, -1, dtype=dtype)
    diagonal = jnp.sqrt(jax.random.chisquare(key_diag, freedom, shape=(num, dim), dtype=dtype))
    below = jnp.tril(jax.random.normal(key_low, (num, dim, dim), dtype), -1)
    return below + jax.vmap(jnp.diag)(diagonal)
