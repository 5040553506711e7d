"""Critical points of a smooth loss of few variables, found by Newton's method from a grid."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from toylin._internal import checks
from toylin._internal.dtypes import float_dtype
from toylin._internal.shapes import Array
from toylin._internal.solving import solve
from toylin.landscape._critical_points import CriticalPoints

_ITERATIONS = 60
_APART = 1e-5  # nearer than this, two ends of Newton's method are one point


def search_critical_points(
    loss: Callable[[Array], Array],
    extent: float,
    variables: int = 2,
    resolution: int = 41,
    tolerance: float = 1e-9,
) -> CriticalPoints:
    """All critical points in a box that Newton's method reaches from a grid of starts.

    A search: it can miss points whose basin lies between the starts, and counts ends nearer than
    1e-5 as one. Its result is not certified; two scalar layers after one step have
    ``solve_critical_points``, which misses none.

    Args:
        loss: a smooth function of a vector of ``variables`` numbers.
        extent: the box is [-extent, extent] in every variable.
        variables: how many.
        resolution: grid points a side.
        tolerance: the largest gradient norm of a critical point.

    Raises:
        ValueError: an extent or a tolerance that is no positive finite number, a count below 1, or
            a tolerance below what the precision of JAX's default float type resolves.

    >>> with jax.enable_x64(True):
    ...     found = search_critical_points(lambda w: jnp.sum((w**2 - 1) ** 2), 2.0, resolution=15)
    >>> found.census()
    (4, 4, 1)
    """
    checks.function("loss", loss, "of a vector")
    checks.integer("variables", variables, minimum=1)
    checks.integer("resolution", resolution, minimum=1)
    for name, value in (("extent", extent), ("tolerance", tolerance)):
        checks.positive(name, value)
    extent, tolerance = float(extent), float(tolerance)
    least = float(jnp.finfo(float_dtype(None)).eps)
    if tolerance < least:
        raise ValueError(
            f"tolerance={tolerance!r} is below what the float type resolves ({least:.1g}); "
            "search under jax.enable_x64(True), or with a larger tolerance"
        )
    axis = np.linspace(-extent, extent, resolution)
    # Off the axes and the diagonals, on which symmetry would hold the iteration.
    grid = np.stack(np.meshgrid(*[axis] * variables), -1).reshape(-1, variables)
    grid = grid + 1e-3 * extent * np.arange(1, variables + 1) ** 0.5
    if jax.tree_util.all_leaves([loss]):
        loss = jax.tree_util.Partial(loss)
    found = _newton(loss, jnp.asarray(grid), jnp.asarray(extent / 4))
    ends, norms, values, hessians = map(np.asarray, found)
    inside = (norms < tolerance) & np.all(np.abs(ends) <= extent, axis=1)
    kept = _distinct(ends, np.flatnonzero(inside), _APART)
    kept = kept[np.argsort(values[kept], kind="stable")]
    eigenvalues = np.linalg.eigvalsh(hessians[kept])
    return CriticalPoints(ends[kept], values[kept], eigenvalues, np.sum(eigenvalues < 0, axis=1))


@jax.jit
def _newton(loss: Callable[[Array], Array], starts: Array, most: Array) -> tuple[Array, ...]:
    """Where Newton's method ends from each start, by steps that are at most so long.

    There gradient norm, loss and Hessian.
    """

    def step(w: Array, _: None) -> tuple[Array, None]:
        move = solve(jax.hessian(loss)(w), jax.grad(loss)(w))
        # Far from a solution the full step overshoots; near it the step is short anyway.
        return w - move / jnp.maximum(1.0, jnp.linalg.norm(move) / most), None

    def one(start: Array) -> tuple[Array, ...]:
        end = jax.lax.scan(step, start, length=_ITERATIONS)[0]
        return end, jnp.linalg.norm(jax.grad(loss)(end)), loss(end), jax.hessian(loss)(end)

    return jax.vmap(one)(starts)


def _distinct(points: np.ndarray, among: np.ndarray, distance: float) -> np.ndarray:
    """Those of the rows ``among`` that are not near an earlier one."""
    kept: list[int] = []
    for k in among:
        if all(np.linalg.norm(points[k] - points[other]) > distance for other in kept):
            kept.append(k)
    return np.array(kept, dtype=int)
