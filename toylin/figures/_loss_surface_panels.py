"""The panels of the loss surface: contours, relief, and the shallow model beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from toylin.plotting import (
    DEEP,
    PAGE,
    REFERENCE,
    SHALLOW,
    contours,
    critical_points,
    new_figure,
    relief,
    style,
)

_TOP = 1.4  # of the loss scale; the surface rises far beyond
_RELIEF = 3.4  # how far the three-dimensional view reaches


def draw(data: Mapping[str, np.ndarray]) -> Figure:
    """Contours, the surface in three dimensions, and the shallow model beside them."""
    with style():
        figure = new_figure(PAGE, 2.7)
        grid = figure.add_gridspec(1, 3, width_ratios=[1.15, 1.1, 0.8])
        _contours(figure, grid[0], data)
        _relief(figure, grid[1], data)
        _shallow(figure, grid[2], data)
        figure.legend(loc="outside lower center", ncols=4)
    return figure


def _contours(figure: Figure, cell: Any, data: Mapping[str, np.ndarray]) -> None:
    axes = figure.add_subplot(cell)
    filled = contours(axes, data["w1"], data["w2"], data["loss"], _TOP)
    for path in data["trajectories"]:
        axes.plot(*path.T, color=DEEP, linewidth=0.9, alpha=0.85)
        axes.plot(*path[0], ".", color=DEEP, markersize=3)
    names = ("minimum", "saddle", "maximum")
    critical_points(axes, data["critical_points"], [names[k] for k in data["critical_index"]])
    axes.plot([], [], color=DEEP, label="meta-training")
    extent = data["w1"][-1]
    axes.set(
        xlim=(-extent, extent),
        ylim=(-extent, extent),
        xlabel="lower weight $w_1$",
        ylabel="upper weight $w_2$",
        title=r"Deep: $f(x)=w_2w_1x$, $\infty$ shots",
    )
    bar = figure.colorbar(filled, ax=axes, shrink=0.9, ticks=[0, 0.4, 0.8, 1.2], pad=0.02)
    bar.set_label("post-adaptation loss")


def _relief(figure: Figure, cell: Any, data: Mapping[str, np.ndarray]) -> None:
    axes: Any = figure.add_subplot(cell, projection="3d", computed_zorder=False)
    relief(axes, data["w1"], data["w2"], data["loss"], _TOP, _RELIEF)
    for path, loss in zip(data["trajectories"], data["trajectory_losses"], strict=True):
        axes.plot(*path.T, loss + 0.02, color=DEEP, linewidth=0.8, zorder=2)
    at = data["critical_index"] == 0
    axes.plot(
        *data["critical_points"][at].T, data["critical_losses"][at] + 0.02, "*", color="white",
        markeredgecolor="black", markeredgewidth=0.6, markersize=8, zorder=3,
    )  # fmt: skip
    axes.set(xlabel="$w_1$", ylabel="$w_2$")


def _shallow(figure: Figure, cell: Any, data: Mapping[str, np.ndarray]) -> None:
    axes = figure.add_subplot(cell)
    floor = float(data["shallow_floor"])
    axes.axhspan(0, floor, color=REFERENCE, alpha=0.15, linewidth=0)
    axes.axhline(floor, color=REFERENCE, linestyle="--", linewidth=1)
    axes.plot(data["shallow_w"], data["shallow_loss"], color=SHALLOW)
    axes.text(0, floor - 0.03, f"no start gets\nbelow {floor:.3f}", ha="center", va="top")
    axes.axhline(0, color=DEEP, linewidth=2)
    axes.text(0, 0.03, "deep reaches 0", color=DEEP, ha="center", va="bottom")
    axes.set(
        ylim=(0, _TOP),
        xlim=(-2.2, 2.2),
        yticks=[0, 0.4, 0.8, 1.2],
        xlabel="weight $w$",
        ylabel="post-adaptation loss",
        title="Shallow: $f(x)=wx$",
    )
