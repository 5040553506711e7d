"""Linear equations, many small ones in one program."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from toylin._internal.shapes import Array, Float


def solve(matrix: Float[Array, "n n"], right: Float[Array, " n"]) -> Float[Array, " n"]:
    """The v of ``matrix @ v = right``, by elimination with pivots, in array arithmetic only.

    ``jnp.linalg.solve`` may never return where a program solves two large batches at once and has
    two threads: on jaxlib 0.10 a solver of a batch holds a thread while it waits for others.
    """

    def forwards(_matvec: object, right: Array) -> Array:
        return _eliminate(matrix, right)

    def transposed(_matvec: object, right: Array) -> Array:
        return _eliminate(matrix.T, right)

    return jax.lax.custom_linear_solve(lambda v: matrix @ v, right, forwards, transposed)


def _eliminate(matrix: Array, right: Array) -> Array:
    n = len(right)
    index = jnp.arange(n)

    def below(k: Array, rows: Array) -> Array:
        """The rows with no entry in column k below row k, which is that of the largest there."""
        column = rows[:, k]
        best = jnp.argmax(jnp.where(index < k, -1.0, jnp.abs(column)))
        rows = rows.at[k].set(rows[best]).at[best].set(rows[k])
        factors = jnp.where(index > k, rows[:, k] / rows[k, k], 0.0)
        return rows - factors[:, None] * rows[k]

    def back(v: Array, row: tuple[Array, Array]) -> tuple[Array, None]:
        i, entries = row
        # What is not known yet is 0 in v.
        return v.at[i].set((entries[-1] - entries[:-1] @ v) / entries[i]), None

    rows = jax.lax.fori_loop(0, n, below, jnp.concatenate([matrix, right[:, None]], 1))
    return jax.lax.scan(back, jnp.zeros_like(right), (index, rows), reverse=True)[0]
