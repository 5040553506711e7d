"""Covariances: a number is that multiple of the identity."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from toylin._internal.checks import rank_tolerance
from toylin._internal.shapes import Array, Float

Covariance = float | Float[Array, ""] | Float[Array, "dim dim"]


def covariance_matrix(
    cov: Covariance, dim: int, dtype: DTypeLike | None = None
) -> Float[Array, "dim dim"]:
    """``cov`` as a matrix: a number is that multiple of the identity."""
    matrix = jnp.asarray(cov, dtype)
    return matrix * jnp.eye(dim, dtype=matrix.dtype) if matrix.ndim == 0 else matrix


def covariance_root(
    cov: Covariance, dim: int, dtype: DTypeLike | None = None
) -> Float[Array, "dim dim"]:
    """The lower triangular C with C C' = ``cov``."""
    matrix = jnp.asarray(cov, dtype)
    if matrix.ndim == 0:
        return jnp.sqrt(matrix) * jnp.eye(dim, dtype=matrix.dtype)
    return jnp.linalg.cholesky(matrix)


def semidefinite_root(
    cov: Covariance, dim: int, dtype: DTypeLike | None = None
) -> Float[Array, "dim dim"]:
    """A C with C C' = ``cov``, which may have a lower rank.

    Where it has not, ``covariance_root``. Where it has, what C spans is the range of ``cov``, to
    rounding, and C has no derivative: the gradient is NaN. The rank is that of the matrix scaled to
    a diagonal of ones, eigenvalues of which below ``rank_tolerance`` are zeros, so that a variance
    is never taken for zero because another is large.
    """
    matrix = jnp.asarray(cov, dtype)
    if matrix.ndim == 0:
        return covariance_root(matrix, dim)
    given = jnp.asarray(cov).dtype
    types = [t for t in (matrix.dtype, given) if jnp.issubdtype(t, jnp.floating)]
    least = rank_tolerance(dim, max(float(jnp.finfo(t).eps) for t in types))
    std = jnp.sqrt(jnp.diagonal(matrix))
    scale = jnp.where(std > 0, std, 1)
    scaled = matrix / scale[:, None] / scale
    singular = jnp.linalg.eigvalsh(jax.lax.stop_gradient(scaled))[0] <= least
    # Where it is not the way taken, it has to have a derivative, which is multiplied by zero.
    other = jnp.diag(jnp.arange(1, dim + 1, dtype=matrix.dtype))
    values, vectors = jnp.linalg.eigh(_underivable(jnp.where(singular, scaled, other)))
    lower_rank = scale[:, None] * vectors * jnp.sqrt(jnp.where(values > least, values, 0))
    return jnp.where(singular, lower_rank, jnp.linalg.cholesky(matrix))


@jax.custom_jvp
def _underivable(matrix: Array) -> Array:
    """``matrix`` without a derivative (NaN): that of eigenvectors leaves out a change of rank."""
    return matrix


@_underivable.defjvp
def _underivable_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    return primals[0], jnp.nan * tangents[0]


def correlate(
    z: Array, cov: Covariance, dim: int, root: Callable[..., Array] = covariance_root
) -> Array:
    """Turn independent N(0, 1) rows into rows with that covariance."""
    matrix = jnp.asarray(cov, z.dtype)
    return jnp.sqrt(matrix) * z if matrix.ndim == 0 else z @ root(cov, dim, z.dtype).T
