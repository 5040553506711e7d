"""The kind of a point of any loss: its gradient and the spectrum of its Hessian."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from toylin._internal import checks
from toylin._internal.norms import norm
from toylin._internal.shapes import Array
from toylin._internal.showing import shown


@shown
@dataclass(frozen=True)
class PointKind:
    """A point of a loss: how critical it is, and of which kind.

    Attributes:
        loss: there.
        grad_norm: zero at a critical point.
        eigenvalues: of the Hessian, in ascending order.
        index: how many of them are negative, as in ``CriticalPoints``.
        nullity: how many are zero to the tolerance: the dimension of a manifold of critical points.
    """

    loss: float
    grad_norm: float
    eigenvalues: np.ndarray
    index: int
    nullity: int


def classify_point(loss: Callable[[Any], Array], params: Any, tolerance: float = 1e-8) -> PointKind:
    """The gradient and the Hessian's spectrum of any smooth loss at a point of any shape.

    Args:
        loss: a smooth function ``loss(params)``.
        params: any pytree of floating-point arrays that is not empty.
        tolerance: relative to the largest eigenvalue, below which one counts as zero. The default
            suits double precision; float32 resolves about 1e-6.

    Raises:
        ValueError: a tolerance that is no number in [0, 1), parameters without a number, or a point
            at which the loss or a derivative is not finite.

    >>> point = classify_point(lambda w: w[0] ** 2 - w[1] ** 2, jnp.zeros(2))
    >>> point.index, point.nullity
    (1, 0)
    """
    checks.function("loss", loss, "of params")
    checks.scalar("tolerance", tolerance, minimum=0.0)
    if not tolerance < 1:
        raise ValueError(f"tolerance must be a number of at least 0 and below 1, got {tolerance!r}")
    params = jax.tree.map(partial(checks.numbers, "params"), params)
    flat, _ = ravel_pytree(params)
    if flat.size == 0 or not jnp.issubdtype(flat.dtype, jnp.floating):
        raise ValueError(f"params must hold floating-point numbers, got {params!r}")
    if jax.tree_util.all_leaves([loss]):
        loss = jax.tree_util.Partial(loss)
    value, gradient, hessian = map(np.asarray, _derivatives(loss, params))
    if not all(np.all(np.isfinite(array)) for array in (value, gradient, hessian)):
        raise ValueError(
            "loss must have a finite value and finite derivatives at params, got the value "
            f"{value}, the gradient {gradient} and the Hessian {hessian.tolist()}"
        )
    eigenvalues = np.linalg.eigvalsh(hessian)
    small = tolerance * np.abs(eigenvalues).max()
    return PointKind(
        float(value),
        float(norm(gradient)),
        eigenvalues,
        int(np.sum(eigenvalues < -small)),
        int(np.sum(np.abs(eigenvalues) <= small)),
    )


@jax.jit
def _derivatives(loss: Callable[[Any], Array], params: Any) -> tuple[Array, Array, Array]:
    """Loss, gradient and Hessian in the vector of all parameters."""
    flat, unravel = ravel_pytree(params)

    def on_vector(w: Array) -> Array:
        return loss(unravel(w))

    return on_vector(flat), jax.grad(on_vector)(flat), jax.hessian(on_vector)(flat)
