"""Critical points of a smooth loss of few variables, found by Newton's method from a grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from toylin._internal import checks
from toylin._internal.shapes import Array, Float, Int

_ITERATIONS = 60
_APART = 1e-5  # nearer than this, two ends of Newton's method are one point


@dataclass(frozen=True)
class CriticalPoints:
    """Where the gradient vanishes, sorted by loss.

    ``index`` counts negative eigenvalues of the Hessian: 0 is a minimum, the number of variables a
    maximum, between them saddles.
    """

    points: Float[np.ndarray, "points variables"]
    loss: Float[np.ndarray, " points"]
    eigenvalues: Float[np.ndarray, "points variables"]
    index: Int[np.ndarray, " points"]

    def kind(self) -> list[str]:
        """'minimum', 'saddle' or 'maximum' for each point."""
        top = self.points.shape[1]
        return ["minimum" if i == 0 else "maximum" if i == top else "saddle" for i in self.index]


def search_critical_points(
    loss: Callable[[Array], Array],
    extent: float,
    variables: int = 2,
    starts: int = 41,
    tolerance: float = 1e-9,
) -> CriticalPoints:
    """All critical points in a box that Newton's method reaches from a grid of starts.

    A search: it can miss points whose basin lies between the starts. Use double precision.

    Args:
        loss: a smooth function of a vector of ``variables`` numbers.
        extent: the box is [-extent, extent] in every variable.
        variables: how many.
        starts: grid points a side.
        tolerance: the largest gradient norm of a critical point.

    Raises:
        ValueError: an extent that is not positive, or a count below 1.
    """
    checks.integer("variables", variables, minimum=1)
    checks.integer("starts", starts, minimum=1)
    if not extent > 0:
        raise ValueError(f"extent must be a positive number, got {extent!r}")
    axis = np.linspace(-extent, extent, starts)
    # Off the axes and the diagonals, on which symmetry would hold the iteration.
    grid = np.stack(np.meshgrid(*[axis] * variables), -1).reshape(-1, variables)
    grid = grid + 1e-3 * extent * np.arange(1, variables + 1) ** 0.5
    ends, norms = (np.asarray(a) for a in _newton(jax.tree_util.Partial(loss), jnp.asarray(grid)))
    inside = (norms < tolerance) & np.all(np.abs(ends) <= extent, axis=1)
    points = _distinct(ends[inside], _APART)
    values, hessians = jax.vmap(lambda w: (loss(w), jax.hessian(loss)(w)))(jnp.asarray(points))
    order = np.argsort(np.asarray(values), kind="stable")
    eigenvalues = np.linalg.eigvalsh(np.asarray(hessians))[order]
    return CriticalPoints(
        points[order], np.asarray(values)[order], eigenvalues, np.sum(eigenvalues < 0, axis=1)
    )


@jax.jit
def _newton(loss: Callable[[Array], Array], starts: Array) -> tuple[Array, Array]:
    def step(w: Array, _: None) -> tuple[Array, None]:
        move = jnp.linalg.solve(jax.hessian(loss)(w), jax.grad(loss)(w))
        # Far from a solution the full step overshoots; near it the step is short anyway.
        return w - move / jnp.maximum(1.0, jnp.linalg.norm(move) / 0.5), None

    def one(start: Array) -> tuple[Array, Array]:
        end = jax.lax.scan(step, start, length=_ITERATIONS)[0]
        return end, jnp.linalg.norm(jax.grad(loss)(end))

    return jax.vmap(one)(starts)


def _distinct(points: np.ndarray, distance: float) -> np.ndarray:
    kept: list[np.ndarray] = []
    for point in points:
        if all(np.linalg.norm(point - other) > distance for other in kept):
            kept.append(point)
    return np.array(kept).reshape(-1, points.shape[1])
