"""Starts coloured by the minimum that they reach, pale where they are fast."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, to_rgb
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from toylin._internal import checks
from toylin.plotting._style import DEEP, SECOND, THIRD

_COLOURS = (DEEP, SECOND, THIRD, "#2a7f62", "#6a4c93", "#8c564b", "#17a2b8", "#7a7a00")


def basin_shade(base: np.ndarray, speed: np.ndarray | float) -> np.ndarray:
    """A colour, pale where fast and dark where slow (``speed`` from 1 to 0).

    Args:
        base: red, green, blue from 0 to 1, shape (..., 3).
        speed: 1 for the fastest to 0 for the slowest, shape (..., 1).
    """
    for name, value in (("base", base), ("speed", speed)):
        checks.real(name, value)
        if np.any(np.asarray(value) < 0) or np.any(np.asarray(value) > 1):
            raise ValueError(f"{name} must be from 0 to 1, got {value!r}")
    if np.shape(base)[-1:] != (3,):
        raise ValueError(f"base must have shape (..., 3), got {np.shape(base)}")
    if np.shape(speed)[-1:] not in ((), (1,)):
        raise ValueError(f"speed must be a number or have shape (..., 1), got {np.shape(speed)}")
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
    checks.drawable("ax", ax)
    starts, minima = (checks.array(n, v, 2) for n, v in (("starts", starts), ("minima", minima)))
    target = _whole("target", target, len(starts), lowest=-1, highest=len(minima) - 1)
    times = np.maximum(_whole("iterations", iterations, len(starts)), 1)
    for name, points in (("starts", starts), ("minima", minima)):
        checks.two_variables(name, points)
    if norm is not None:
        checks.instance("norm", norm, LogNorm)
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
    checks.drawable("figure", figure, "a figure")
    many = np.ravel(axes) if isinstance(axes, np.ndarray) else axes
    for ax in many if isinstance(many, np.ndarray | list | tuple) and len(many) else [axes]:
        checks.drawable("axes", ax)
    checks.instance("norm", norm, LogNorm)
    checks.integer("number", number, minimum=1)
    checks.text("label", label)
    bar = figure.colorbar(ScalarMappable(norm), ax=axes, label=label, shrink=0.85)
    assert bar.solids is not None
    bar.solids.set_visible(False)
    colours = np.array([to_rgb(c) for c in _COLOURS[:number]])
    shades = basin_shade(colours, np.linspace(1, 0, 128)[:, None, None])
    times = np.geomspace(float(norm.vmin or 1), float(norm.vmax or 1), len(shades) + 1)
    bar.ax.pcolormesh(np.linspace(0, 1, len(colours) + 1), times, shades, rasterized=True)


def _whole(
    name: str, value: Any, length: int, lowest: int = 0, highest: int = checks.MOST
) -> np.ndarray:
    """Integers within bounds, one a start."""
    found = checks.array(name, value, 1)
    checks.as_long(name, found, "starts", length)
    if np.any(found != np.floor(found)) or np.any((found < lowest) | (found > highest)):
        raise ValueError(f"{name} must hold integers from {lowest} to {highest}, got {value!r}")
    return found.astype(int)


def _angle_order(minima: np.ndarray) -> np.ndarray:
    """A rank by angle, so that a minimum has one colour in every picture."""
    angle = np.round(np.arctan2(minima[:, 1], minima[:, 0]), 6) % (2 * np.pi)
    return np.argsort(np.argsort(angle))
