"""Arrays of random numbers, drawn as one row.

They are the numbers of ``jax.random``, bit for bit, from a program that compiles in half the time:
what is waited for is XLA's arithmetic on indices of several axes.
"""

from __future__ import annotations

from math import prod

import jax
from jax.typing import DTypeLike

from toylin._internal.shapes import Array, Int, PRNGKeyArray


def normal(key: PRNGKeyArray, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
    """As ``jax.random.normal``."""
    return jax.random.normal(key, (prod(shape),), dtype).reshape(shape)


def uniform(
    key: PRNGKeyArray, shape: tuple[int, ...], dtype: DTypeLike, low: float, high: float
) -> Array:
    """As ``jax.random.uniform``."""
    return jax.random.uniform(key, (prod(shape),), dtype, low, high).reshape(shape)


def integers(key: PRNGKeyArray, ends: Int[Array, "*shape"]) -> Int[Array, "*shape"]:
    """As ``jax.random.randint``, from 0 to below ``ends``."""
    return jax.random.randint(key, (ends.size,), 0, ends.reshape(-1)).reshape(ends.shape)


def bits(key: PRNGKeyArray, shape: tuple[int, ...]) -> Array:
    """As ``jax.random.bits``."""
    return jax.random.bits(key, (prod(shape),)).reshape(shape)
