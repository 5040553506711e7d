"""Which float type an argument ``dtype`` stands for."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike


def float_dtype(dtype: DTypeLike | None) -> np.dtype:
    """``dtype``, or JAX's default float type if None, in the precision that JAX is set to."""
    return jax.dtypes.canonicalize_dtype(jnp.dtype(float if dtype is None else dtype))
