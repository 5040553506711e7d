"""The panels of the figure meta_optimizer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from toylin.plotting import DEEP, PAGE, REFERENCE, SECOND, SHALLOW, THIRD, new_figure, style

# What is compared: label, depth, colour, line style.
CONTENDERS = {
    "shallow_maml": ("shallow + MAML", 1, SHALLOW, "-"),
    "shallow_meta_sgd": ("shallow + Meta-SGD", 1, THIRD, "-"),
    "shallow_meta_kfo": ("shallow + Meta-KFO", 1, SECOND, "-"),
    "deep_maml": ("deep + MAML", 2, DEEP, "--"),
}


def draw(data: Mapping[str, np.ndarray]) -> Figure:
    """The picture of what ``compute`` returns."""
    with style():
        figure = new_figure(PAGE, 4.6)
        halves: Any = figure.subfigures(2, 1)
        top, bottom = halves
        regression, classification = top.subplots(1, 2)
        *matrices, by_depth = bottom.subplots(1, 4, width_ratios=(1, 1, 1, 2.2)).flat
        _curves(regression, data, "regression")
        _curves(classification, data, "classification")
        classification.legend(loc="upper right")
        for kind, name in (("scalar", "MAML"), ("diagonal", "Meta-SGD")):
            level = float(data[f"best_{kind}_loss"])
            regression.axhline(level, color=REFERENCE, lw=0.9, ls=":", zorder=1)
            regression.annotate(
                f"best possible shallow {name}",
                (len(data["regression_shallow_maml"]), level),
                (0, 2),
                textcoords="offset points",
                ha="right",
                fontsize=6.5,
                color=REFERENCE,
            )
        regression.set_yscale("log")
        regression.set_ylim(1e-4, 3)
        regression.set_title("(a) regression", loc="left")
        classification.set_title("(b) classification", loc="left")
        _matrices(matrices, data)
        _by_depth(by_depth, data)
        return figure


def _curves(axes: Axes, data: Mapping[str, np.ndarray], problem: str) -> None:
    window = np.ones(50) / 50
    for name, (label, _, colour, line) in CONTENDERS.items():
        loss = data[f"{problem}_{name}"]
        steps = np.arange(len(loss))
        if problem == "classification":
            loss = np.convolve(loss, window, mode="valid")
            steps = steps[len(window) // 2 :][: len(loss)]
        axes.plot(steps, loss, color=colour, ls=line, label=label)
    axes.set_xlabel("meta-iteration")
    axes.set_ylabel("post-adaptation loss")
    axes.set_xlim(0, len(data[f"{problem}_shallow_maml"]))


def _matrices(axes: list[Axes], data: Mapping[str, np.ndarray]) -> None:
    shown = (
        ("matrix_deep_maml", "deep: induced\nby the layers", DEEP),
        ("matrix_shallow_meta_kfo", "shallow: learned\nby Meta-KFO", SECOND),
        ("best_matrix", "best: inverse\ncovariance", REFERENCE),
    )
    limit = float(np.abs(data["best_matrix"]).max())
    for ax, (key, title, colour) in zip(axes, shown, strict=True):
        ax.imshow(data[key], cmap="RdBu_r", vmin=-limit, vmax=limit)
        ax.set_xticks([])
        ax.set_yticks([])
        ax.set_xlabel(title, color=colour)
        for side in ax.spines.values():
            side.set_visible(True)
    apart, classifiers = float(data["angle"]), float(data["classifier_angles"].mean())
    heading = axes[0].annotate(  # no title: it runs over all three, whose gaps are to be equal
        f"(c) preconditioners: {apart:.1f}° apart ({classifiers:.1f}° in b)",
        (0, 1),
        (0, 6),
        xycoords="axes fraction",
        textcoords="offset points",
        fontsize=axes[0].title.get_fontsize(),
    )
    heading.set_in_layout(False)


def _by_depth(axes: Axes, data: Mapping[str, np.ndarray]) -> None:
    maml, kfo = data["by_depth_maml"], data["by_depth_meta_kfo"]
    depths = np.arange(1, len(maml) + 1)
    axes.fill_between(depths, kfo, maml, color=REFERENCE, alpha=0.2, lw=0)
    axes.plot(depths, maml, color=DEEP, marker="o", ms=4, label="MAML")
    axes.plot(depths, kfo, color=SECOND, marker="s", ms=4, label="Meta-KFO")
    axes.annotate("gain of\nMeta-KFO", (1.06, 0.075), fontsize=6.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylim(bottom=0)
    axes.set_xlabel("layers")
    axes.set_ylabel("loss after training")
    axes.set_title("(d) the gain of Meta-KFO, by depth", loc="left")
    axes.legend(loc="upper right")
