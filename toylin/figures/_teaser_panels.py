"""The panels of the teaser: regression; classification by loss and by accuracy."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import blended_transform_factory

from toylin.figures._style import DEEP, PAGE, REFERENCE, SHALLOW, THIRD, new_figure, style


def draw(data: Mapping[str, np.ndarray]) -> Figure:
    """Two panels: regression; classification by loss and by accuracy."""
    with style():
        figure = new_figure(PAGE, 2.6)
        grid = figure.add_gridspec(2, 2)
        _draw_regression(figure.add_subplot(grid[:, 0]), data)
        lower = figure.add_subplot(grid[1, 1])
        upper = figure.add_subplot(grid[0, 1], sharex=lower)
        upper.tick_params(labelbottom=False)
        _draw_classification(upper, lower, data)
    return figure


def _band(axes: Axes, x: np.ndarray, curves: np.ndarray, colour: str, label: str) -> None:
    axes.fill_between(x, curves.min(0), curves.max(0), color=colour, alpha=0.2, linewidth=0)
    axes.plot(x, np.median(curves, 0), color=colour, label=label)


def _reference(axes: Axes, level: float, text: str, above: bool = True) -> None:
    axes.axhline(level, color=REFERENCE, linestyle="--", linewidth=0.9, zorder=0)
    where = blended_transform_factory(axes.transAxes, axes.transData)
    axes.annotate(
        text,
        (1.0, level),
        xycoords=where,
        xytext=(0, 2 if above else -2),
        textcoords="offset points",
        ha="right",
        va="bottom" if above else "top",
        color="#495057",
        fontsize=7,
    )


def _draw_regression(axes: Axes, data: Mapping[str, np.ndarray]) -> None:
    x = data["regression_iteration"]
    _band(axes, x, data["regression_shallow_loss"], SHALLOW, "Shallow, $wx$")
    _band(axes, x, data["regression_deep_loss"], DEEP, "Deep, $w_2w_1x$")
    _reference(axes, float(data["regression_no_adaptation"]), "no adaptation")
    _reference(axes, float(data["regression_shallow_floor"]), "shallow floor", above=False)
    _reference(axes, float(data["regression_bayes"]), "Bayes-optimal learner")
    axes.set(
        xlim=(0, x[-1]),
        ylim=(0, 0.62),
        xlabel="meta-training iteration",
        ylabel="post-adaptation loss",
        title="Linear regression",
    )
    axes.legend(loc="center right", bbox_to_anchor=(1.0, 0.42))


def _draw_classification(upper: Axes, lower: Axes, data: Mapping[str, np.ndarray]) -> None:
    x = data["classification_iteration"]
    for axes, score in ((upper, "loss"), (lower, "accuracy")):
        _band(axes, x, data[f"classification_shallow_{score}"], SHALLOW, "LogR")
        _band(axes, x, data[f"classification_deep_{score}"], DEEP, "LogR+LinNet")
        if score == "loss":
            exact = data["classification_shallow_exact_loss"]
            axes.plot(x, exact, ":", color=THIRD, label=r"LogR, exact for $\infty$ shots")
        best = float(data[f"classification_shallow_best_{score}"])
        label = "LogR at its best start" if score == "accuracy" else ""
        _reference(axes, best, label, above=False)
    upper.set(ylim=(0, 0.9), xlim=(0, x[-1]), ylabel="loss", title="Binary classification")
    lower.set(ylim=(0.45, 1.02), xlabel="meta-training iteration", ylabel="accuracy")
    upper.legend(loc="center right", bbox_to_anchor=(1.0, 0.45))
