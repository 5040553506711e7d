"""The arrays of any pytree of parameters, one by one: their names, and their shapes as matrices.

A rule that holds something for every array holds it in the order of ``jax.tree.leaves(params)``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from toylin._internal import checks
from toylin._internal.shapes import Array

Shape = tuple[int, ...]


def named_shapes(params: Any) -> list[tuple[str, Shape]]:
    """Every array's place in ``params``, as Python would write it, and its shape."""
    found = jax.tree_util.tree_leaves_with_path(params)
    return [(f"params{jax.tree_util.keystr(path)}", np.shape(leaf)) for path, leaf in found]


def check_finite(name: str, value: Any) -> None:
    """A finite number or array (its shape alone, where it is a tracer)."""
    array = checks.concrete(name, value)
    if array is not None and not np.all(np.isfinite(array)):
        raise ValueError(f"{name} must be finite, got {value!r}")


def check_entries(name: str, entries: Sequence[Any], params: Any) -> None:
    """One of ``entries`` for every array of ``params``."""
    arrays = len(jax.tree.leaves(params))
    if len(entries) != arrays:
        raise ValueError(
            f"{name} must have one entry for every array of params: the model has {arrays}, "
            f"the rule {len(entries)} entries"
        )


def matrix_shape(name: str, shape: Shape) -> Shape:
    """The shape of an array seen as a matrix, or as a stack of matrices.

    A bias of n entries is n x 1; a convolution's kernel (out, in, height, width) is, for every
    output channel, a matrix (in) x (height width). This is learn2learn's convention.

    Raises:
        ValueError: an array of another number of axes.
    """
    match shape:
        case (_, _):
            return shape
        case (n,):
            return (n, 1)
        case (channels, inputs, *window) if len(window) == 2:
            return (channels, inputs, prod(window))
    raise ValueError(
        f"{name} has shape {shape}; this rule takes biases, matrices and kernels of convolutions "
        "(out, in, height, width)"
    )


def map_matrices(update: Callable[..., Array], entries: Sequence[Any], grads: Any) -> Any:
    """``update(entry, gradient)`` for every array, its gradient seen as ``matrix_shape`` says."""
    leaves, structure = jax.tree.flatten(grads)
    updates = [
        update(entry, jnp.reshape(g, matrix_shape("a gradient", g.shape))).reshape(g.shape)
        for entry, g in zip(entries, leaves, strict=True)
    ]
    return jax.tree.unflatten(structure, updates)
