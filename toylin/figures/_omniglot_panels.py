"""The panels of the figure omniglot."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from toylin.figures._accuracy import Look, draw_accuracy, label_accuracy
from toylin.plotting import DEEP, PAGE, SECOND, SHALLOW, THIRD, new_figure, style

METHODS = {
    "one": Look("one layer", SHALLOW, "-", "o"),
    "output": Look("+ layer at the output", DEEP, "-.", "s"),
    "input": Look("+ layer at the input", DEEP, ":", "s"),
    "two": Look("two layers", DEEP, "--", "o"),
    "three": Look("three layers", DEEP, "-", "o"),
    "meta-sgd": Look("Meta-SGD", THIRD, "--", "^"),
    "meta-curvature": Look("Meta-Curvature", THIRD, "-", "^"),
    "meta-kfo": Look("Meta-KFO", SECOND, "-", "D"),
    "nonlinear-kfo": Look("Meta-KFO, non-linear", SECOND, "--", "D"),
}


def draw(data: Mapping[str, np.ndarray]) -> Figure:
    """Accuracy along training at one step size, and after training over step sizes."""
    with style():
        figure = new_figure(PAGE, 2.9)
        along, after = figure.subplots(1, 2, sharey=True)
        at = int(np.flatnonzero(data["step_sizes"] == data["shown"])[0])
        for name, look in METHODS.items():
            accuracy = data[f"accuracy_{name}"]
            draw_accuracy(along, data["iteration"], accuracy[at], look, size=3.5)
            draw_accuracy(after, data["step_sizes"], accuracy[:, :, -1].T, look, size=3.5)
        along.set(xlabel="meta-iteration")
        label_accuracy(along, data)
        along.set_title(f"(a) along training, step size {float(data['shown']):g}", loc="left")
        after.set(xscale="log", xlabel="inner step size")
        after.set_xticks(data["step_sizes"], [f"{a:g}" for a in data["step_sizes"]])
        after.minorticks_off()
        after.set_title("(b) after training", loc="left")
        figure.legend(
            *after.get_legend_handles_labels(), loc="outside right center", handlelength=3.2
        )
    return figure
