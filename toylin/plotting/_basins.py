"""Starts coloured by the minimum that they reach, pale where they are fast."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, to_rgb
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from toylin.plotting._style import DEEP, SECOND, THIRD

_COLOURS = (DEEP, SECOND, THIRD, "#2a7f62", "#6a4c93", "#8c564b", "#17a2b8", "#7a7a00")


def basin_shade(base: np.ndarray, speed: np.ndarray | float) -> np.ndarray:
    """A colour, pale where fast and dark where slow (``speed`` from 1 to 0).

    Args:
        base: red, green, blue from 0 to 1, shape (..., 3).
        speed: 1 for the fastest to 0 for the slowest, shape (..., 1).
    """
    pale = 0.15 + 0.7 * speed
    return base * (1 - pale) * (0.55 + 0.45 * speed) + pale


def basin_map(
    ax: Axes,
    starts: ArrayLike,
    target: ArrayLike,
    iterations: ArrayLike,
    minima: ArrayLike,
    norm: LogNorm | None = None,
) -> None:
    """Starts of two variables, as cells where they form a grid and as dots where they do not.

    Args:
        ax: where to draw.
        starts: shape (starts, 2).
        target: the index of the minimum that each reaches, -1 for none: those are grey, and a
            legend says so.
        iterations: how many iterations that takes.
        minima: shape (minima, 2). They have colours by their angle.
        norm: of the iterations; of those here by default.
    """
    starts, target = np.asarray(starts), np.asarray(target)
    times = np.maximum(np.asarray(iterations), 1)
    if norm is None:
        norm = LogNorm(times.min(), max(times.max(), 1.001 * times.min()), clip=True)
    speed = 1 - np.asarray(norm(times))[:, None]
    colours = np.array([to_rgb(c) for c in _COLOURS])
    rank = _angle_order(np.asarray(minima)) % len(colours)
    base = np.where(target[:, None] >= 0, colours[rank[target]], to_rgb("#ffffff"))
    shades = basin_shade(base, speed)
    axes, places = zip(*(np.unique(s, return_inverse=True) for s in starts.T), strict=True)
    if len(axes[0]) * len(axes[1]) == len(starts):
        image = np.empty((len(axes[1]), len(axes[0]), 3))
        image[places[1], places[0]] = shades
        ax.imshow(
            image,
            origin="lower",
            extent=(axes[0][0], axes[0][-1], axes[1][0], axes[1][-1]),
            interpolation="nearest",
        )
    else:
        ax.scatter(starts[:, 0], starts[:, 1], c=shades, s=6)
    if np.any(target < 0):
        label = f"no minimum in {times[target < 0].max():g} iterations"
        ax.plot([], [], "s", color=shades[target < 0][0], markersize=7, label=label)
    ax.set_aspect("equal")


def basin_bar(figure: Figure, axes: Any, norm: LogNorm, number: int, label: str) -> None:
    """What the shades of ``basin_map`` mean, in the colours of the first minima.

    Args:
        figure: where to draw.
        axes: the maps beside which it stands.
        norm: of the iterations.
        number: of minima.
        label: what the shades are.
    """
    bar = figure.colorbar(ScalarMappable(norm), ax=axes, label=label, shrink=0.85)
    assert bar.solids is not None
    bar.solids.set_visible(False)
    colours = np.array([to_rgb(c) for c in _COLOURS[:number]])
    shades = basin_shade(colours, np.linspace(1, 0, 128)[:, None, None])
    times = np.geomspace(float(norm.vmin or 1), float(norm.vmax or 1), len(shades) + 1)
    bar.ax.pcolormesh(np.linspace(0, 1, len(colours) + 1), times, shades, rasterized=True)


def _angle_order(minima: np.ndarray) -> np.ndarray:
    """A rank by angle, so that a minimum has one colour in every picture."""
    angle = np.round(np.arctan2(minima[:, 1], minima[:, 0]), 6) % (2 * np.pi)
    return np.argsort(np.argsort(angle))
