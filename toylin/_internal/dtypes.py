"""Which float type an argument ``dtype`` stands for."""

from __future__ import annotations

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
