"""Covariances: a number is that multiple of the identity."""

from __future__ import annotations

import jax.numpy as jnp
from jax.typing import DTypeLike

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


def correlate(z: Array, cov: Covariance, dim: int) -> Array:
    """Turn independent N(0, 1) rows into rows with that covariance."""
    matrix = jnp.asarray(cov, z.dtype)
    return jnp.sqrt(matrix) * z if matrix.ndim == 0 else z @ covariance_root(cov, dim, z.dtype).T
