"""Euclidean norms of numbers of any size."""

from __future__ import annotations

from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp

from toylin._internal.shapes import Array


def in_range(tree: Any) -> tuple[Any, Array]:
    """The leaves times a power of two, so that their squares stay in the range of floats; and it.

    One, where they do: those numbers keep their bits.
    """
    sizes = [jnp.max(jnp.abs(leaf), initial=0) for leaf in jax.tree.leaves(tree)]
    top = reduce(jnp.maximum, sizes)
    half = jnp.finfo(top.dtype).maxexp * 0.3
    shrink, grow = top > 2**half, top < 2**-half
    power = jnp.where(shrink, 2.0 ** -int(2 * half), jnp.where(grow, 2.0 ** int(2 * half), 1.0))
    power = power.astype(top.dtype)
    scaled = jax.tree.map(lambda leaf: leaf * power.astype(leaf.dtype), tree)
    # Or else XLA squares a constant's factors one by one, of which the powers leave the range.
    return jax.lax.optimization_barrier(scaled), power


def norm(tree: Any) -> Array:
    """The Euclidean norm of all leaves together, wherever it is in the range of floats."""
    tree, power = in_range(tree)
    return jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(tree))) / power
