"""Gradients from values alone, with how far they can be trusted."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from toylin._internal.shapes import Array

# Eight points, exact for polynomials of degree 8: f'(x) = sum_k c_k [f(x + k h) - f(x - k h)] / h.
_STENCIL = (4 / 5, -1 / 5, 4 / 105, -1 / 280)
_STEPS = 56
# Rounding of a value, in units of the spacing of floats.
_NOISE = 16


class Differences(NamedTuple):
    """A gradient by finite differences, and how far its entries can be off by their own account."""

    grad: np.ndarray
    uncertainty: np.ndarray


def finite_differences(function: Callable[[Array], Array], at: Array, degree: int) -> Differences:
    """The gradient of a polynomial of that degree, every entry by the step that serves it best.

    Steps fall by factors of four from a small part of the largest weight (or of 1), since the
    length over which a loss changes can differ between its weights by many orders of magnitude.
    Each is judged by what its estimate differs from that of the next step, which is the error of
    truncation, and by what rounding of the values does to it.
    """
    top = 0.1 / degree * max(float(jnp.max(jnp.abs(at))), 1.0)
    steps = top * 0.25 ** np.arange(_STEPS)
    reach = steps[:, None] * np.arange(1.0, len(_STENCIL) + 1)
    shifts = jnp.asarray(reach[:, :, None, None] * np.eye(at.size))

    def pair(shift: Array) -> tuple[Array, Array]:
        high, low = function(at + shift), function(at - shift)
        return high - low, jnp.maximum(jnp.abs(high), jnp.abs(low))

    over = jax.vmap(jax.vmap(jax.vmap(pair)))
    differences, sizes = map(np.asarray, jax.jit(over)(shifts))
    with np.errstate(invalid="ignore", over="ignore"):
        estimates = np.einsum("k,ski->si", _STENCIL, differences) / steps[:, None]
        noise = _NOISE * np.finfo(sizes.dtype).eps * sizes.max(1) / steps[:, None]
        scores = np.abs(np.diff(estimates, axis=0)) + noise[:-1]
    scores = np.where(np.isfinite(scores), scores, np.inf)
    best = np.argmin(scores, axis=0), np.arange(at.size)
    return Differences(estimates[best], scores[best])
