"""Random numbers for many tasks from one call, and the statistics that a loss needs of samples.

A row holds one number for each task. Every call of JAX's generator is a program of its own size to
compile, so that all rows come from one.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from toylin._internal import flat_draws
from toylin._internal.shapes import Array, Float, PRNGKeyArray

# Beyond this many degrees of freedom JAX's rejection sampler is cheaper than a product of uniforms.
_MOST_UNIFORMS = 64


def uniform_rows(
    key: PRNGKeyArray, counts: Sequence[int], num: int, dtype: np.dtype
) -> list[Float[Array, "rows num"]]:
    """For each count that many rows of independent uniform numbers in (-1, 1).

    A row is the same whatever rows come after it.
    """
    low = np.nextafter(np.array(-1, dtype), np.array(0, dtype))
    rows = flat_draws.uniform(key, (sum(counts), num), dtype, low, 1.0)
    ends = list(itertools.accumulate(counts, initial=0))
    return [rows[start:stop] for start, stop in itertools.pairwise(ends)]


def spare_keys(
    key: PRNGKeyArray, points: Sequence[int | None]
) -> tuple[PRNGKeyArray, list[PRNGKeyArray | None]]:
    """A key for rows, and another for each number of points too large for rows (else None)."""
    if all(n is None or n <= _MOST_UNIFORMS for n in points):
        return key, [None] * len(points)
    first, *rest = jax.random.split(key, 1 + len(points))
    return first, rest


def normals(u: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """N(0, 1) numbers, as ``jax.random.normal`` makes them from uniform ones in (-1, 1)."""
    return jax.lax.erf_inv(u) * np.array(2**0.5, u.dtype)


def signs(u: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """-1 or +1, equally likely: just half of the floats that ``u`` may be are below zero."""
    return jnp.where(u < 0, -1, 1).astype(u.dtype)


def square_rows(points: int) -> int:
    """How many rows ``mean_square`` takes."""
    return 0 if points > _MOST_UNIFORMS else (points + 1) // 2


def mean_square(
    u: Float[Array, "rows num"], points: int, key: PRNGKeyArray | None
) -> Float[Array, " num"]:
    """The mean of the squares of ``points`` independent N(0, 1) numbers: chi²_K / K.

    Two degrees of freedom are an exponential variable, -2 log(uniform), so that K of them cost K/2
    uniforms and few logarithms, with no rejection and no branch. Only for many points is ``key``
    used, and no row.
    """
    if points > _MOST_UNIFORMS:
        assert key is not None
        return jax.random.chisquare(key, points, shape=u.shape[1:], dtype=u.dtype) / points
    half = points // 2
    total = _pairs(u[:half])
    if points % 2:
        total += normals(u[half]) ** 2
    return total / points


def _pairs(u: Float[Array, "rows ..."]) -> Float[Array, ...]:
    """The sum over the first axis of the squares of two N(0, 1) numbers for each entry."""
    uniform = (1 - u) / 2
    total = jnp.zeros(u.shape[1:], u.dtype)
    # They lie in (0, 1] and are at least 2^-24, so that a product of four cannot underflow.
    for start in range(0, len(u), 4):
        total -= 2 * jnp.log(jnp.prod(uniform[start : start + 4], axis=0))
    return total


def wishart_rows(points: int, dim: int) -> int:
    """How many rows ``wishart_root`` takes."""
    below = dim * (dim - 1) // 2
    return below if points > _MOST_UNIFORMS else below + dim * (1 + points // 2)


def wishart_root(
    u: Float[Array, "rows num"], points: int, dim: int, key: PRNGKeyArray | None
) -> Float[Array, "num dim dim"]:
    """Lower triangular A with A A' ~ Wishart_dim(identity, points), by Bartlett's decomposition.

    Needs points >= dim. As ``mean_square``, takes rows of ``u`` or, for many points, ``key``.
    """
    num, num_below = u.shape[1], dim * (dim - 1) // 2
    freedom = np.arange(points, points - dim, -1)
    if points > _MOST_UNIFORMS:
        assert key is not None
        below = normals(u)
        shape = (num, dim)
        squares = jax.random.chisquare(key, freedom.astype(u.dtype), shape, u.dtype).T
    else:
        z = normals(u[: num_below + dim])
        below, odd = z[:num_below], z[num_below:]
        u = u[num_below + dim :].reshape(-1, dim, num)
        # A pair that is not wanted is made 0: its uniform number is (1 - u) / 2 = 1.
        wanted = np.arange(len(u))[:, None] < freedom // 2
        squares = _pairs(jnp.where(wanted[:, :, None], u, -1)) + (freedom % 2)[:, None] * odd**2
    zero = jnp.zeros((1, num), u.dtype)
    entries = jnp.concatenate([jnp.sqrt(squares), below, zero])
    place = np.full((dim, dim), len(entries) - 1)
    place[np.diag_indices(dim)] = np.arange(dim)
    place[np.tril_indices(dim, -1)] = dim + np.arange(num_below)
    return jnp.moveaxis(entries[place], -1, 0)
