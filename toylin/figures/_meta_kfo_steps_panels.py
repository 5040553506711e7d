"""The panels of the figure meta_kfo_steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from toylin.plotting import DEEP, PAGE, REFERENCE, SECOND, SHALLOW, THIRD, new_figure, style

# What is compared, from the top down: label, colour, line style, marker.
CONTENDERS = {
    "shallow_maml": ("shallow MAML", SHALLOW, "-", "o"),
    "shallow_meta_sgd": ("Meta-SGD per step", THIRD, "-", "^"),
    "shallow_meta_curvature": ("Meta-Curvature", THIRD, "--", "s"),
    "shallow_held_kfo": ("Meta-KFO, held", SECOND, "--", "v"),
    "shallow_meta_kfo": ("Meta-KFO, adapting", SECOND, "-", "D"),
    "deep_anil_kfo": ("deep ANIL + Meta-KFO", DEEP, "--", "P"),
    "deep_maml": ("deep MAML", DEEP, "-", "X"),
}

_BEYOND = 1e3  # far above the panel


def draw(data: Mapping[str, np.ndarray]) -> Figure:
    """The picture of what ``compute`` returns."""
    with style():
        figure = new_figure(PAGE, 2.5)
        axes: Any = figure.subplots(1, 3, width_ratios=(1.0, 1.15, 1.15))
        ends, steps, scales = axes
        _ends(ends, data)
        for name in CONTENDERS:
            after = np.median(data[f"after_{name}"], axis=0)
            _line(steps, name, np.arange(len(after)), after)
        _level(steps, 0.05, float(data["bayes"]), "Bayes")
        steps.set(yscale="log", xlabel="inner step", ylabel="loss less label noise")
        steps.set_title("(b) after each inner step", loc="left")
        before = np.square(data["scales"]) * data["no_adaptation"]
        for name in CONTENDERS:
            left = data[f"scaled_{name}"] / before
            left = np.where(left < _BEYOND, left, _BEYOND)  # also where it is infinite or no number
            _line(scales, name, data["scales"], np.median(left, axis=0))
        scales.axhline(1.0, color=REFERENCE, ls=":", lw=0.9)
        where = {"xy": (0.48, 1.0), "xytext": (0, 2), "textcoords": "offset points"}
        scales.annotate("no adaptation", **where, fontsize=6.5, color=REFERENCE)
        scales.set(xscale="log", yscale="log", ylim=(0.0018, 5), xlabel="size of theta, times")
        scales.set(xticks=[0.5, 1, 2, 4, 8], xticklabels=["1/2", "1", "2", "4", "8"])
        scales.minorticks_off()
        scales.set_ylabel("share of the loss that is left")
        scales.set_title("(c) tasks of another size", loc="left")
    return figure


def _line(axes: Axes, name: str, x: np.ndarray, y: np.ndarray) -> None:
    _, colour, line, marker = CONTENDERS[name]
    axes.plot(x, y, color=colour, ls=line, marker=marker, ms=3.5, lw=1.2, alpha=0.85)


def _ends(axes: Axes, data: Mapping[str, np.ndarray]) -> None:
    """The loss after the last step over that of Bayes, a mark a seed."""
    rows = np.arange(len(CONTENDERS), 0, -1)
    for row, (name, (_, colour, _, marker)) in zip(rows, CONTENDERS.items(), strict=True):
        last = data[f"after_{name}"][:, -1] / data["bayes"]
        look: dict[str, Any] = {"color": colour, "marker": marker, "ms": 5, "ls": "", "alpha": 0.7}
        axes.plot(last, np.full(len(last), row), **look)
    axes.axvline(1.0, color=REFERENCE, ls="--", lw=0.9, zorder=0)
    axes.set(xlim=(0.8, None), ylim=(0.4, len(rows) + 0.6), xlabel="loss over that of Bayes")
    axes.set_yticks(rows, [label for label, *_ in CONTENDERS.values()])
    for tick, (_, colour, _, _) in zip(axes.get_yticklabels(), CONTENDERS.values(), strict=True):
        tick.set_color(colour)
    axes.tick_params(axis="y", length=0)
    axes.set_title("(a) after five inner steps", loc="left")


def _level(axes: Axes, x: float, level: float, name: str) -> None:
    axes.axhline(level, color=REFERENCE, ls="--", lw=0.9, zorder=0)
    axes.annotate(
        name, (x, level), (0, 2), textcoords="offset points", fontsize=6.5, color=REFERENCE
    )
