"""The panel of the figure convolutional."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from toylin.figures._accuracy import Look, draw_accuracy, label_accuracy
from toylin.plotting import COLUMN, DEEP, SECOND, SHALLOW, new_figure, style

METHODS = {
    "maml": Look("MAML", SHALLOW, "-", "o"),
    "maml_linear": Look("MAML + linear layers", DEEP, "-", "s"),
    "maml_kfo": Look("MAML + Meta-KFO", SECOND, "-", "D"),
    "anil": Look("ANIL", SHALLOW, ":", "o"),
    "anil_linear": Look("ANIL + linear layers", DEEP, ":", "s"),
    "anil_kfo": Look("ANIL + Meta-KFO", SECOND, ":", "D"),
}


def draw(data: Mapping[str, np.ndarray]) -> Figure:
    """Accuracy after training, over the depth of the network."""
    with style():
        figure = new_figure(COLUMN * 1.5, 2.7)
        axes = figure.add_subplot()
        for name, look in METHODS.items():
            runs = data[f"accuracy_{name}"][:, :, -1].T
            draw_accuracy(axes, data["depths"], runs, look, size=4)
        axes.set(xlabel="convolutional layers")
        label_accuracy(axes, data)
        axes.set_xticks(data["depths"])
        figure.legend(loc="outside right center", handlelength=3.2)
    return figure
