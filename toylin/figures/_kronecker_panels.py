"""The panels of the figure kronecker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from toylin.plotting import DEEP, PAGE, REFERENCE, SECOND, SHALLOW, new_figure, style


def draw(data: Mapping[str, np.ndarray]) -> Figure:
    """The losses, the same relative to the free matrix, and the two matrices."""
    with style():
        figure = new_figure(PAGE, 2.7)
        grid = figure.add_gridspec(2, 3, width_ratios=(1.25, 1.5, 0.62))
        losses, ratios = figure.add_subplot(grid[:, 0]), figure.add_subplot(grid[:, 1])
        _curves(losses, data, np.ones(len(data["free"])))
        losses.set(yscale="log", ylabel="loss less label noise")
        losses.set_title("(a) the loss", loc="left")
        _curves(ratios, data, data["free"])
        ratios.set(ylim=(0.55, 1.45), ylabel="over that of the best free matrix")
        ratios.set_title("(b) against the best free matrix", loc="left")
        at = data["anisotropy"] == data["shown"]
        for depth in data["depths"]:
            trained = data[f"trained_{depth}"] / data["free"][at]
            label = "meta-trained" if depth == 2 else None
            ratios.plot(data["anisotropy"][at], trained, "kx", ms=7, zorder=6, label=label)
        handles, labels = ratios.get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="outside lower left", ncols=8, columnspacing=0.9, handlelength=1.6
        )
        for i, (name, title) in enumerate({"free": "(c) best free", "kfo": "one product"}.items()):
            axes = figure.add_subplot(grid[i, 2])
            axes.imshow(data[f"taken_{name}"], cmap="Greys", vmin=0, vmax=1)
            axes.set(xticks=[], yticks=[], xlabel="inputs" if i else "", ylabel="outputs")
            axes.set_title(title, loc="left")
            axes.spines[:].set_visible(True)
    return figure


def _curves(axes: Axes, data: Mapping[str, np.ndarray], unit: np.ndarray) -> None:
    shades = {2: (0.45, ":", "o"), 3: (0.7, "--", "s"), 4: (1.0, "-", "D")}
    lines: dict[str, tuple[str, dict[str, Any]]] = {
        "maml": ("shallow MAML", {"color": SHALLOW}),
        "kfo": ("shallow Meta-KFO", {"color": SECOND, "marker": "v"}),
    }
    for depth in data["depths"]:
        shade, line, marker = shades[depth]
        look = {"color": DEEP, "alpha": shade, "ls": line, "marker": marker}
        lines[f"deep_{depth}"] = (f"{depth} layers", look)
    lines["free"] = ("free matrix", {"color": REFERENCE, "ls": "--", "zorder": 5})
    lines["bayes"] = ("Bayes", {"color": REFERENCE, "ls": ":"})
    for name, (label, options) in lines.items():
        axes.plot(data["anisotropy"], data[name] / unit, ms=3.5, label=label, **options)
    axes.set(xscale="log", xlabel="anisotropy of outputs and inputs")
