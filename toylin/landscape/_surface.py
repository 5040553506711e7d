"""The loss on a plane through parameter space."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from toylin._internal import checks
from toylin._internal.dtypes import float_type
from toylin._internal.pytree import recheck
from toylin._internal.shapes import Array, Float
from toylin._internal.showing import shown
from toylin.training import BatchLoss
from toylin.training._losses import PreparedLoss

# Points evaluated at once: bounds the memory of a surface whatever its resolution.
_AT_ONCE = 1024


@shown
class Surface(NamedTuple):
    """A loss on a grid: ``loss[i, j]`` is at ``params + first[i] * u + second[j] * v``."""

    first: Float[Array, " rows"]
    second: Float[Array, " columns"]
    loss: Float[Array, "rows columns"]

    def plot(self, ax: Any = None, *, top: float | None = None) -> Any:
        """Draw filled contours of the loss, with a colour bar.

        Args:
            ax: matplotlib axes to draw on; new ones, with a colour bar, if None.
            top: where the colours end, while the loss goes on: by default three times its median.

        Returns:
            The axes.

        Raises:
            ValueError: ``top`` is not positive.
        """
        from toylin import plotting

        top = self._top(top)
        with plotting.drawing(ax, size=(4.6, 3.9)) as axes:
            filled = plotting.contours(axes, self.first, self.second, self.loss, top)
            axes.set(xlabel="along the first direction", ylabel="along the second direction")
            if ax is None:
                plotting.colour_bar(axes, filled, "loss")
        return axes

    def plot_relief(
        self, ax: Any = None, *, top: float | None = None, reach: float = np.inf
    ) -> Any:
        """Draw the loss in three dimensions, cut off at ``top``.

        Args:
            ax: axes made with ``projection="3d", computed_zorder=False``; new ones if None.
            top: as for ``plot``.
            reach: how far from the middle the view reaches, along either direction.

        Returns:
            The axes.

        Raises:
            ValueError: ``top`` is not positive.
        """
        from toylin import plotting

        top = self._top(top)
        look = {"projection": "3d", "computed_zorder": False}
        with plotting.drawing(ax, (4.6, 3.9), **look) as axes:
            plotting.relief(axes, self.first, self.second, self.loss, top, reach)
            axes.set(xlabel="first", ylabel="second")
        return axes

    def _top(self, top: float | None) -> float:
        if top is None:
            top = 3 * float(np.nanmedian(self.loss))
        checks.positive("top", top)
        return float(top)


def surface(
    loss: Callable[[Any], Array],
    params: Any,
    directions: Sequence[Any],
    extent: float | Sequence[float] | Sequence[Sequence[float]],
    resolution: int = 101,
) -> Surface:
    """Evaluate ``loss`` on the plane through ``params`` that two directions span.

    One compiled program whatever the resolution, in blocks of bounded memory. A ``BatchLoss`` of
    scalar regression tasks at one inner step is first rewritten as a polynomial in the weights,
    whose cost does not depend on the number of tasks. At points where the bound on the polynomial's
    rounding exceeds sqrt(eps) of the loss (3e-4 in float32, 1.5e-8 in float64) the tasks are summed
    one by one instead: most points of a deep model, and zero losses.

    Args:
        loss: a function ``loss(params)``.
        params: the pytree in the middle of the plane.
        directions: two pytrees (u, v) of the structure of ``params``, not normalised.
        extent: how far the plane reaches: one number e for [-e, e] both ways, a pair (low, high)
            for both, or a pair of pairs.
        resolution: grid points a side.

    Returns:
        A ``Surface``.

    Raises:
        ValueError: params that are no floats, directions of another number or structure, a bad
            extent or resolution.

    >>> import toylin as tl
    >>> loss = tl.ExactLoss(tl.LinearRegression(), tl.MAML(step_size=0.1))
    >>> zero, one = jnp.zeros((1, 1)), jnp.ones((1, 1))
    >>> plane = tl.surface(loss, (zero, zero), ((one, zero), (zero, one)), 4.0, resolution=81)
    >>> plane.loss.shape, round(float(plane.loss[40, 40]), 3)  # at the origin
    ((81, 81), 0.5)
    """
    checks.function("loss", loss, "of params")
    checks.float_leaves("params", params)
    checks.integer("resolution", resolution, minimum=2)
    if not isinstance(directions, Sequence) or len(directions) != 2:
        got = len(directions) if isinstance(directions, Sequence) else repr(directions)
        raise ValueError(f"directions must be two pytrees (u, v), got {got}")
    shapes = jax.tree.map(jnp.shape, params)
    for name, direction in zip(("first", "second"), directions, strict=True):
        if jax.tree.map(jnp.shape, direction) != shapes:
            raise ValueError(
                f"the {name} direction must have the structure and shapes of params, {shapes}, "
                f"got {jax.tree.map(jnp.shape, direction)}"
            )
    ends = _ranges(extent).astype(float_type(params))
    if isinstance(loss, BatchLoss):
        recheck("loss.rule", loss.rule)
    if jax.tree_util.all_leaves([loss]):
        loss = jax.tree_util.Partial(loss)
    return Surface(*_grid(loss, params, tuple(directions), ends, resolution))


def _ranges(extent: Any) -> np.ndarray:
    """From where to where the plane reaches along either direction."""
    checks.shape_of("extent", extent)
    array = checks.numbers("extent", extent).astype(float)
    if array.shape == ():
        array = np.array([-array, array])
    if array.shape == (2,):
        array = np.stack([array, array])
    if (
        array.shape != (2, 2)
        or not np.all(np.isfinite(array))
        or np.any(array[:, 0] >= array[:, 1])
    ):
        raise ValueError(
            "extent must be a positive number, a pair (low, high) with low < high, or two such "
            f"pairs, got {extent!r}"
        )
    return array


@partial(jax.jit, static_argnames="resolution")
def _grid(
    loss: Any, params: Any, directions: tuple[Any, Any], ends: Array, resolution: int
) -> tuple[Array, Array, Array]:
    """Both axes, and the loss on the grid of them."""
    if isinstance(loss, BatchLoss):
        loss = loss.prepared(params)

    def model(point: tuple[Array, Array]) -> Any:
        a, b = point
        return jax.tree.map(lambda p, u, v: p + a * u + b * v, params, *directions)

    first, second = (jnp.linspace(low, high, resolution, dtype=ends.dtype) for low, high in ends)
    grid = jnp.meshgrid(first, second, indexing="ij")
    points = (grid[0].ravel(), grid[1].ravel())
    return first, second, _losses(loss, model, points).reshape(grid[0].shape)


def _losses(loss: Any, model: Callable[[Any], Any], points: tuple[Array, Array]) -> Array:
    """The loss at many points: one by one only where a polynomial is not accurate."""
    if not isinstance(loss, PreparedLoss):
        return jax.lax.map(lambda at: loss(model(at)), points, batch_size=_AT_ONCE)
    values, bounds = jax.lax.map(
        lambda at: loss.by_polynomial(model(at)), points, batch_size=_AT_ONCE
    )
    return jax.lax.cond(
        jnp.all(loss.accurate(values, bounds)),
        lambda: values,
        lambda: jax.lax.map(lambda at: loss(model(at)), points),
    )
