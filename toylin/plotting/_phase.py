"""A loss over one or two axes of settings."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from toylin._internal import checks
from toylin.plotting._scale import Scale
from toylin.plotting._style import DEEP

# From light (adapts) to deep red (worse than not adapting), even in lightness.
LOSSES = LinearSegmentedColormap.from_list(
    "losses", ["#fff7ec", "#fdd49e", "#fc8d59", DEEP, "#4a0009"]
)
_HATCH: dict[str, Any] = {"hatch": "////", "edgecolor": "white", "linewidth": 0}


def phase(
    ax: Axes, across: Scale, up: Scale, loss: np.ndarray, low: float, high: float, bar: float
) -> Any:
    """The loss over two axes; hatched where it is not below ``bar``, the loss unadapted.

    Args:
        ax: where to draw.
        across: the axis from left to right.
        up: the axis from bottom to top.
        loss: shape (up, across), in the order of the settings.
        low: the end of the colours.
        high: their other end, which what is larger or not finite gets.
        bar: the loss of not adapting.

    Returns:
        What a colour bar is made from.
    """
    checks.drawable("ax", ax)
    for name, scale in (("across", across), ("up", up)):
        checks.instance(name, scale, Scale)
    loss = checks.array("loss", loss, 2, finite=False)
    if loss.shape != (len(up.order), len(across.order)):
        raise ValueError(
            f"loss must have shape {(len(up.order), len(across.order))}, (up, across), got "
            f"{loss.shape}"
        )
    checks.positive("low", low)
    checks.scalar("high", high)
    if not low < high:
        raise ValueError(f"low must be below high, got low={low!r} and high={high!r}")
    _check_level("bar", bar)
    low, high = float(low), float(high)
    cells = loss[up.order][:, across.order]
    mesh = ax.pcolormesh(
        across.edges,
        up.edges,
        np.clip(np.nan_to_num(cells, nan=high, posinf=high), low, high),
        norm=LogNorm(low, high),
        cmap=LOSSES,
        rasterized=True,
    )
    with mpl.rc_context({"hatch.linewidth": 0.5}):
        for i, row in enumerate(~(cells <= bar * (1 - 1e-3))):
            # A rectangle for every stretch of columns.
            turns = np.flatnonzero(np.diff(np.concatenate([[False], row, [False]]).astype(int)))
            for start, stop in turns.reshape(-1, 2):
                ax.add_patch(
                    Rectangle(
                        (across.edges[start], up.edges[i]),
                        across.edges[stop] - across.edges[start],
                        up.edges[i + 1] - up.edges[i],
                        fill=False,
                        **_HATCH,
                    )
                )
    return mesh


def hatching_legend(figure: Figure) -> None:
    """Say below a figure what ``phase`` hatches, where it has hatched anything.

    Args:
        figure: with axes that ``phase`` has drawn on.
    """
    checks.drawable("figure", figure, "a figure")
    if any(patch.get_hatch() for axes in figure.axes for patch in axes.patches):
        with mpl.rc_context({"hatch.linewidth": 0.5}):
            sample = Patch(facecolor=DEEP, label="no better than not adapting", **_HATCH)
        figure.legend(handles=[sample], loc="outside lower center")


def line(ax: Axes, across: Scale, loss: np.ndarray) -> None:
    """The median and quartiles of a loss over one axis, shape (runs, across): points if few.

    Args:
        ax: where to draw.
        across: the axis, as ``scale_of`` returns it.
        loss: shape (runs, across).
    """
    checks.drawable("ax", ax)
    checks.instance("across", across, Scale)
    loss = checks.array("loss", loss, 2, finite=False)
    checks.as_long("a row of loss", loss[0], "across", len(across.order))
    rows = np.where(np.isfinite(loss), loss, np.inf)[:, across.order]
    low, middle, high = np.quantile(rows, [0.25, 0.5, 0.75], axis=0, method="nearest")
    style = "-" if across.numbers else "none"
    ax.semilogy(across.places, middle, color=DEEP, linestyle=style, marker="o", markersize=3)
    if across.numbers:
        ax.fill_between(across.places, low, high, color=DEEP, alpha=0.2, linewidth=0)
    else:
        ax.vlines(across.places, low, high, color=DEEP, alpha=0.4, linewidth=3)
    ax.set_xlim(across.edges[0], across.edges[-1])


def _check_level(name: str, value: Any) -> None:
    """A loss: a number, infinite where no run has one."""
    number = checks.concrete(name, value)
    if number is None or number.ndim or np.isnan(number):
        raise ValueError(f"{name} must be a number, got {value!r}")
