"""How far a learned representation is from the true one."""

from __future__ import annotations

import jax.numpy as jnp

from toylin._internal import checks
from toylin._internal.shapes import Array, Float


def subspace_distance(
    rows: Float[Array, "width dim"], truth: Float[Array, "rank dim"]
) -> Float[Array, ""]:
    """The sine of the largest principal angle from the span of ``truth`` to that of ``rows``.

    0 where every row of ``truth`` is a combination of ``rows``, 1 where one is orthogonal to all
    of them. Scale-free, and symmetric where both have as many rows; what more ``rows`` spans does
    not count.

    Args:
        rows: what spans the learned subspace, such as W_1 of a deep linear model. Where they are
            dependent, to rounding, it is what they do span: of zeros nothing, at a distance of 1.
        truth: what spans the true one, likewise, no more of them than ``rows``.

    Raises:
        ValueError: no matrices, of one number of columns, with rank <= width <= dim.

    >>> round(float(subspace_distance(jnp.array([[1.0, 0.0]]), jnp.array([[3.0, 4.0]]))), 6)
    0.8
    """
    for name, matrix in (("rows", rows), ("truth", truth)):
        checks.ndim(name, matrix, 2)
        checks.real(name, matrix)
    shapes = jnp.shape(rows), jnp.shape(truth)
    if shapes[0][1] != shapes[1][1] or not shapes[1][0] <= shapes[0][0] <= shapes[0][1]:
        raise ValueError(
            f"rows and truth must have shapes (width, dim) and (rank, dim), "
            f"rank <= width <= dim, got {shapes[0]} and {shapes[1]}"
        )
    # By singular vectors: two batches of QR in one program wait for each other on jaxlib 0.10.
    learned, true = (_basis(jnp.asarray(m)) for m in (rows, truth))
    # What is left of the true subspace: no cosine, which would lose half the digits near zero.
    return jnp.linalg.norm(true - learned @ (learned.T @ true), ord=2)


def _basis(rows: Array) -> Array:
    """An orthonormal column for every direction that the rows span, and zeros for the others."""
    columns, sizes, _ = jnp.linalg.svd(rows.T, full_matrices=False)
    least = jnp.finfo(columns.dtype).eps * max(rows.shape) * sizes[0]
    return jnp.where(sizes > least, columns, 0)
