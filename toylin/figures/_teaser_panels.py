"""The panels of the teaser: regression; classification by loss and by accuracy."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from toylin.plotting import (
    DEEP,
    PAGE,
    SHALLOW,
    THIRD,
    band,
    new_figure,
    reference_lines,
    style,
)


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


def _draw_regression(axes: Axes, data: Mapping[str, np.ndarray]) -> None:
    x = data["regression_iteration"]
    band(axes, x, data["regression_shallow_loss"], SHALLOW, "Shallow, $wx$")
    band(axes, x, data["regression_deep_loss"], DEEP, "Deep, $w_2w_1x$")
    axes.set(
        xlim=(0, x[-1]),
        ylim=(0, 0.62),
        xlabel="meta-training iteration",
        ylabel="post-adaptation loss",
        title="Linear regression, 10 shots",
    )
    reference_lines(
        axes,
        {
            "no adaptation": float(data["regression_no_adaptation"]),
            "shallow floor": float(data["regression_shallow_floor"]),
            "deep floor": float(data["regression_deep_floor"]),
            "Bayes-optimal learner": float(data["regression_bayes"]),
        },
    )
    axes.legend(loc="center right", bbox_to_anchor=(1.0, 0.42))


def _draw_classification(upper: Axes, lower: Axes, data: Mapping[str, np.ndarray]) -> None:
    x = data["classification_iteration"]
    for axes, score in ((upper, "loss"), (lower, "accuracy")):
        band(axes, x, data[f"classification_shallow_{score}"], SHALLOW, "LogR")
        band(axes, x, data[f"classification_deep_{score}"], DEEP, "LogR+LinNet")
        if score == "loss":
            exact = data["classification_shallow_exact_loss"]
            axes.plot(x, exact, ":", color=THIRD, label=r"LogR, exact for $\infty$ shots")
    upper.set(
        ylim=(0, 0.9), xlim=(0, x[-1]), ylabel="loss", title="Binary classification, 10 shots"
    )
    lower.set(ylim=(0.45, 1.02), xlabel="meta-training iteration", ylabel="accuracy")
    for axes, score, name in (
        (upper, "loss", ""),
        (lower, "accuracy", "LogR at its best start"),
    ):
        best = float(data[f"classification_shallow_best_{score}"])
        reference_lines(axes, {name: best})
    upper.legend(loc="center right", bbox_to_anchor=(1.0, 0.45))
