"""A loss on a plane, and what is on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

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

    Returns:
        What a colour bar is made from.
    """
    filled = ax.contourf(
        np.asarray(first),
        np.asarray(second),
        np.asarray(loss).T,
        np.linspace(0.0, top, _LEVELS),
        cmap="Blues",
        norm=Normalize(0.0, top),
        extend="max",
    )
    filled.set_rasterized(True)
    ax.set_aspect("equal")
    return filled


def colour_bar(ax: Axes, mappable: Any, label: str) -> None:
    """A colour bar with a few round ticks."""
    assert ax.figure is not None
    ax.figure.colorbar(mappable, ax=ax, label=label, shrink=0.9, ticks=MaxNLocator(5))


def critical_points(ax: Axes, points: ArrayLike, kind: Sequence[str], scale: float = 1.0) -> None:
    """Points of two variables by their kind: stars, crosses, triangles, squares."""
    for name, (marker, face, size) in _MARKERS.items():
        at = np.asarray(points)[[k == name for k in kind]]
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
