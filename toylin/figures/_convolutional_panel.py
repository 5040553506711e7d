"""The panel of the figure convolutional."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from toylin.plotting import (
    COLUMN,
    DEEP,
    SECOND,
    SHALLOW,
    band,
    new_figure,
    reference_lines,
    style,
)

# Method -> its name in the legend, colour, line, marker.
METHODS: dict[str, tuple[str, Any, str, str]] = {
    "maml": ("MAML", SHALLOW, "-", "o"),
    "maml_linear": ("MAML + linear layers", DEEP, "-", "s"),
    "maml_kfo": ("MAML + Meta-KFO", SECOND, "-", "D"),
    "anil": ("ANIL", SHALLOW, ":", "o"),
    "anil_linear": ("ANIL + linear layers", DEEP, ":", "s"),
    "anil_kfo": ("ANIL + Meta-KFO", SECOND, ":", "D"),
}


def draw(data: Mapping[str, np.ndarray]) -> Figure:
    """Accuracy after training, over the depth of the network."""
    with style():
        figure = new_figure(COLUMN * 1.5, 2.7)
        axes = figure.add_subplot()
        for name, (label, colour, line, marker) in METHODS.items():
            band(axes, data["depths"], data[f"accuracy_{name}"][:, :, -1].T, colour, label)
            axes.lines[-1].set(ls=line, marker=marker, ms=4)
        axes.set(xlabel="convolutional layers", ylabel="accuracy on unseen alphabets")
        axes.set_ylim(0.16, None)
        reference_lines(axes, {"chance": 1 / float(data["ways"])})
        axes.set_xticks(data["depths"])
        figure.legend(loc="outside right center", handlelength=3.2)
    return figure
