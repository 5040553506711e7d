"""A loss on a plane, and what is on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from toylin._internal import checks

_LEVELS = 29
# By kind: marker, colour of its face, size.
_MARKERS: dict[str, tuple[str, str, float]] = {
    "minimum": ("*", "white", 11),
    "saddle": ("X", "#ffd166", 5.5),
    "maximum": ("^", "#2b2b2b", 5.5),
    "degenerate": ("s", "#9b9b9b", 5),
}


def contours(ax: Axes, first: ArrayLike, second: ArrayLike, loss: ArrayLike, top: float) -> Any:
    """Filled contours of ``loss[i, j]`` at (first[i], second[j]), with colours from 0 to ``top``.

    Args:
        ax: where to draw.
        first: shape (rows,).
        second: shape (columns,).
        loss: shape (rows, columns).
        top: the loss of the darkest colour.

    Returns:
        What a colour bar is made from.
    """
    first, second, loss = _plane(ax, first, second, loss, top)
    filled = ax.contourf(
        first,
        second,
        loss.T,
        np.linspace(0.0, top, _LEVELS),
        cmap="Blues",
        norm=Normalize(0.0, top),
        extend="max",
    )
    filled.set_rasterized(True)
    ax.set_aspect("equal")
    return filled


def relief(
    ax: Any, first: ArrayLike, second: ArrayLike, loss: ArrayLike, top: float, reach: float = np.inf
) -> None:
    """The same in three dimensions, cut off at ``top``.

    Args:
        ax: axes with ``projection="3d"`` and ``computed_zorder=False``.
        first: the places of the rows of ``loss``,
        second: and of its columns.
        loss: the heights.
        top: where heights and colours end.
        reach: how far from zero the view reaches along either axis.
    """
    first, second, loss = _plane(ax, first, second, loss, top)
    if not hasattr(ax, "plot_surface"):
        raise ValueError(f'ax must be axes made with projection="3d", got {ax!r}')
    check_reach(reach)
    top = float(top)
    w1, w2 = np.meshgrid(first, second, indexing="ij")
    shown = (np.maximum(np.abs(w1), np.abs(w2)) <= reach) & (loss <= top)
    ax.plot_surface(
        w1, w2, np.where(shown, loss, np.nan), cmap="Blues", norm=Normalize(0.0, top),
        rcount=100, ccount=100, linewidth=0.1, alpha=0.9, edgecolor=(0.3, 0.3, 0.4, 0.15),
        rasterized=True, zorder=1,
    )  # fmt: skip
    ax.view_init(elev=38, azim=-62)
    ax.set(zlim=(0, top), zticks=[k * top / 7 for k in (0, 2, 4, 6)])
    ax.zaxis.set_major_formatter("{x:.3g}")
    ax.set(xticks=_inner_ticks(w1[shown]), yticks=_inner_ticks(w2[shown]))
    ax.tick_params(pad=-3)
    ax.xaxis.labelpad = ax.yaxis.labelpad = -8
    ax.set_box_aspect((1, 1, 0.62), zoom=1.12)
    for pane in (ax.xaxis, ax.yaxis, ax.zaxis):
        pane.set_pane_color((1, 1, 1, 0))


def check_reach(reach: float) -> None:
    """How far a view reaches: a positive number, or infinity."""
    number = checks.concrete("reach", reach)
    if number is None or number.ndim or not number > 0:
        raise ValueError(f"reach must be a positive number or infinity, got {reach!r}")


def _plane(ax: Any, first: Any, second: Any, loss: Any, top: Any) -> tuple[np.ndarray, ...]:
    """What is drawn over a plane, as arrays that fit each other."""
    checks.drawable("ax", ax)
    first, second = (checks.array(n, v, 1) for n, v in (("first", first), ("second", second)))
    loss = checks.array("loss", loss, 2, finite=False)
    if loss.shape != (len(first), len(second)) or min(loss.shape) < 2:
        raise ValueError(
            f"loss must have shape {(len(first), len(second))}, an entry for each of first and "
            f"second, two at least, got {loss.shape}"
        )
    checks.positive("top", top)
    return first, second, loss


def _inner_ticks(places: np.ndarray) -> np.ndarray:
    """Ticks away from the corners, where those of two axes would run into each other."""
    low, high = (places.min(), places.max()) if places.size else (-1.0, 1.0)
    ticks = np.asarray(MaxNLocator(4, steps=[1, 2, 5, 10]).tick_values(low, high))
    return ticks[np.abs(ticks - (low + high) / 2) < 0.45 * (high - low)]


def colour_bar(ax: Axes, mappable: Any, label: str) -> None:
    """A colour bar with a few round ticks.

    Args:
        ax: the axes beside which it stands.
        mappable: what it explains, as ``contours`` returns it.
        label: what the colours are.
    """
    checks.drawable("ax", ax)
    checks.drawable("mappable", mappable, "what has colours")
    checks.text("label", label)
    assert ax.figure is not None
    ax.figure.colorbar(mappable, ax=ax, label=label, shrink=0.9, ticks=MaxNLocator(5))


def critical_points(ax: Axes, points: ArrayLike, kind: Sequence[str], scale: float = 1.0) -> None:
    """Points of two variables by their kind: stars, crosses, triangles, squares.

    Args:
        ax: where to draw.
        points: shape (points, 2).
        kind: of each, "minimum", "saddle", "maximum" or "degenerate".
        scale: of the markers.
    """
    checks.drawable("ax", ax)
    if len(checks.shape_of("points", points)) != 2 or np.size(points):
        checks.two_variables("points", checks.array("points", points, 2))
    points = np.asarray(points)
    for name in kind if isinstance(kind, Sequence) else [kind]:
        checks.choice("every kind", name, _MARKERS)
    if len(kind) != len(points):
        raise ValueError(f"kind must have {len(points)} entries, one a point, got {len(kind)}")
    checks.positive("scale", scale)
    for name, (marker, face, size) in _MARKERS.items():
        at = points[[k == name for k in kind]]
        if not len(at):
            continue
        ax.plot(
            *at.T,
            marker,
            markersize=size * scale,
            markerfacecolor=face,
            markeredgecolor="black",
            markeredgewidth=0.7,
            linestyle="none",
            label=name,
            zorder=5,
        )
