"""Float types: the one that an argument ``dtype`` stands for, and that of the arrays in a tree."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike


def float_dtype(dtype: DTypeLike | None) -> np.dtype:
    """``dtype``, or JAX's default float type if None, in the precision that JAX is set to.

    Raises:
        ValueError: a type that is no real float.
    """
    try:
        found = jnp.dtype(float if dtype is None else dtype)
    except TypeError:
        raise ValueError(f"dtype must be a float type, got {dtype!r}") from None
    if not jax.dtypes.issubdtype(found, np.floating):
        raise ValueError(f"dtype must be a float type, got {dtype!r}")
    return jax.dtypes.canonicalize_dtype(found)


def float_type(tree: Any) -> np.dtype:
    """That of the arrays in a tree, parameters or data; of several the widest."""
    return jnp.result_type(*jax.tree.leaves(tree))
