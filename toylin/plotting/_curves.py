"""Losses along meta-training, and the levels to compare them with."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, is_color_like
from matplotlib.patheffects import withStroke
from matplotlib.transforms import blended_transform_factory
from numpy.typing import ArrayLike

from toylin._internal import checks
from toylin.plotting._style import DEEP, REFERENCE, SHALLOW

_REDS = LinearSegmentedColormap.from_list("reds", ["#f4a59f", DEEP, "#4a0009"])
_APART = 0.075  # of the height: levels nearer than that have labels on opposite sides


def sequential_colours(number: int) -> list[Any]:
    """That many reds, from light to dark.

    Args:
        number: how many.
    """
    checks.integer("number", number, minimum=0, maximum=1000)
    return list(_REDS(np.linspace(0, 1, number) if number > 1 else [0.5]))


def depth_colours(depths: ArrayLike) -> list[Any]:
    """Black for one layer, reds from light to dark for more.

    Args:
        depths: numbers of layers, in the order of the colours.
    """
    if np.any(checks.array("depths", depths, 1) < 1):
        raise ValueError(f"depths must be numbers of layers, 1 at least, got {depths!r}")
    deep = iter(sequential_colours(int(np.sum(np.asarray(depths) > 1))))
    return [next(deep) if depth > 1 else SHALLOW for depth in np.asarray(depths)]


def band(
    ax: Axes,
    x: ArrayLike,
    curves: ArrayLike,
    colour: Any,
    label: str | None = None,
    quantiles: tuple[float, float] = (0.0, 1.0),
) -> None:
    """The median of curves, shape (runs, records), and the band between two of their quantiles.

    Args:
        ax: where to draw.
        x: shape (records,).
        curves: shape (runs, records); what is not finite counts as above all.
        colour: of the median and, paler, of the band.
        label: for a legend.
        quantiles: where the band begins and ends; the whole range by default.
    """
    checks.drawable("ax", ax)
    rows = checks.array("curves", curves, 2, finite=False)
    checks.as_long("x", checks.array("x", x, 1), "every row of curves", rows.shape[1])
    check_colour("colour", colour)
    checks.text("label", label, optional=True)
    shares = checks.array("quantiles", quantiles, 1)
    if len(shares) != 2 or np.any((shares < 0) | (shares > 1)):
        raise ValueError(f"quantiles must be two numbers from 0 to 1, got {quantiles!r}")
    rows = np.where(np.isfinite(rows), rows, np.inf)
    low, high = quantiles
    lower, middle, upper = np.quantile(rows, [low, 0.5, high], axis=0, method="nearest")
    ax.fill_between(x, lower, upper, color=colour, alpha=0.2, linewidth=0)
    ax.plot(x, middle, color=colour, label=label)


def training_curve(
    ax: Axes,
    iteration: ArrayLike,
    loss: ArrayLike,
    colour: Any,
    label: str | None = None,
    window: int = 1,
) -> None:
    """The loss of a run or, shape (runs, records), of several: their median and their range.

    Args:
        ax: where to draw.
        iteration: of the records.
        loss: at those.
        colour: of the curve.
        label: for a legend.
        window: records to average over, for losses that are sampled; those themselves are pale. 1,
            by default, draws the losses alone.
    """
    checks.drawable("ax", ax)
    axes = 1 if len(checks.shape_of("loss", loss)) == 1 else 2
    rows = np.atleast_2d(checks.array("loss", loss, axes, finite=False))
    x = checks.array("iteration", iteration, 1)
    checks.as_long("iteration", x, "every row of loss", rows.shape[1])
    check_colour("colour", colour)
    checks.text("label", label, optional=True)
    checks.integer("window", window, minimum=1)
    if window > rows.shape[1]:
        raise ValueError(
            f"window must be at most the number of records, {rows.shape[1]}, got {window}"
        )
    if window > 1:
        if len(rows) == 1:
            ax.plot(x, rows[0], color=colour, alpha=0.25, linewidth=0.6)
        kernel = np.ones(window) / window
        rows = np.array([np.convolve(row, kernel, mode="valid") for row in rows])
        x = x[window // 2 :][: rows.shape[1]]
    if len(rows) == 1:
        ax.plot(x, rows[0], color=colour, label=label)
    else:
        band(ax, x, rows, colour, label)
    ax.set(xlabel="meta-iteration", ylabel="loss after adaptation")
    ax.margins(x=0)


def reference_lines(ax: Axes, levels: Mapping[str, float]) -> None:
    """A dashed line at each level, its name at the right end; call it once the limits are set.

    Limits that a level lies beyond are moved, so that it is seen; only what a logarithmic axis
    cannot show, zero and less, is left out. A name stands above its line, and below it where the
    next level, or the upper end, is too near for that.

    Args:
        ax: where to draw.
        levels: losses, by the names to write.
    """
    checks.drawable("ax", ax)
    checks.instance("levels", levels, Mapping)
    for name, level in levels.items():
        checks.text("every name in levels", name)
        checks.scalar(f"levels[{name!r}]", level)
    shown = {name: level for name, level in levels.items() if level > 0 or ax.get_yscale() != "log"}
    _make_room(ax, shown.values())
    ordered = sorted(shown.items(), key=lambda item: item[1])
    heights = [*(_height(ax, level) for _, level in ordered), 1.0]
    where = blended_transform_factory(ax.transAxes, ax.transData)
    for k, (name, level) in enumerate(ordered):
        above = heights[k + 1] - heights[k] > _APART
        ax.axhline(level, color=REFERENCE, linestyle="--", linewidth=0.9, zorder=0)
        ax.annotate(
            name,
            (1.0, level),
            xycoords=where,
            xytext=(0, 2 if above else -2),
            textcoords="offset points",
            ha="right",
            va="bottom" if above else "top",
            color="#495057",
            fontsize=7,
            path_effects=[withStroke(linewidth=2, foreground="white", alpha=0.8)],
        )


def check_colour(name: str, value: Any) -> None:
    """A colour, as matplotlib knows them."""
    if not is_color_like(value):
        raise ValueError(f"{name} must be a colour of matplotlib, got {value!r}")


def _make_room(ax: Axes, levels: Collection[float]) -> None:
    """Move the limits of y to hold the levels, and above them a name."""
    scale = ax.yaxis.get_transform()
    low, high = scale.transform(np.array(ax.get_ybound()))
    places = scale.transform(np.array([*levels], float))
    lower, upper = min([low, *places]), max([high, *places])
    room = 1.2 * _APART * (upper - lower)
    bounds = lower - room * (lower < low), upper + room * (upper > high)
    if bounds != (low, high):
        ax.set_ybound(*scale.inverted().transform(np.array(bounds)))


def _height(ax: Axes, level: float) -> float:
    """A level as a share of the height of the axes."""
    return float(ax.transAxes.inverted().transform(ax.transData.transform((1.0, level)))[1])
