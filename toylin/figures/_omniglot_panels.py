"""The panels of the figure omniglot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from toylin.plotting import (
    DEEP,
    PAGE,
    SECOND,
    SHALLOW,
    THIRD,
    band,
    new_figure,
    reference_lines,
    style,
)

# Method -> its name in the legend, colour, line, marker.
METHODS: dict[str, tuple[str, Any, str, str]] = {
    "one": ("one layer", SHALLOW, "-", "o"),
    "output": ("+ layer at the output", DEEP, "-.", "s"),
    "input": ("+ layer at the input", DEEP, ":", "s"),
    "two": ("two layers", DEEP, "--", "o"),
    "three": ("three layers", DEEP, "-", "o"),
    "meta-sgd": ("Meta-SGD", THIRD, "--", "^"),
    "meta-curvature": ("Meta-Curvature", THIRD, "-", "^"),
    "meta-kfo": ("Meta-KFO", SECOND, "-", "D"),
    "nonlinear-kfo": ("Meta-KFO, non-linear", SECOND, "--", "D"),
}


def draw(data: Mapping[str, np.ndarray]) -> Figure:
    """Accuracy along training at one step size, and after training over step sizes."""
    with style():
        figure = new_figure(PAGE, 2.9)
        along, after = figure.subplots(1, 2, sharey=True)
        at = int(np.flatnonzero(data["step_sizes"] == data["shown"])[0])
        for name, (label, colour, line, marker) in METHODS.items():
            accuracy = data[f"accuracy_{name}"]
            band(along, data["iteration"], accuracy[at], colour)
            band(after, data["step_sizes"], accuracy[:, :, -1].T, colour, label)
            for axes in (along, after):
                axes.lines[-1].set(ls=line, marker=marker, ms=3.5)
        along.set(xlabel="meta-iteration", ylabel="accuracy on unseen alphabets", ylim=(0.16, None))
        reference_lines(along, {"chance": 1 / float(data["ways"])})
        along.set_title(f"(a) along training, step size {float(data['shown']):g}", loc="left")
        after.set(xscale="log", xlabel="inner step size")
        after.set_xticks(data["step_sizes"], [f"{a:g}" for a in data["step_sizes"]])
        after.minorticks_off()
        after.set_title("(b) after training", loc="left")
        figure.legend(
            *after.get_legend_handles_labels(), loc="outside right center", handlelength=3.2
        )
    return figure
