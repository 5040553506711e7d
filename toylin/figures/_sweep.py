"""Drawing a sweep: phase diagrams and convergence curves with bands."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.patches import Rectangle

from toylin.figures._style import DEEP, REFERENCE, SHALLOW

# From light (adapts) to deep red (worse than not adapting), even in lightness.
LOSSES = LinearSegmentedColormap.from_list(
    "losses", ["#fff7ec", "#fdd49e", "#fc8d59", DEEP, "#4a0009"]
)


def edges(values: np.ndarray) -> np.ndarray:
    """The cell borders around increasing values."""
    if values.size == 1:
        return values[0] + np.array([-0.5, 0.5])
    middle = (values[1:] + values[:-1]) / 2
    return np.concatenate([[2 * values[0] - middle[0]], middle, [2 * values[-1] - middle[-1]]])


def phase(
    axes: Axes, x: np.ndarray, y: np.ndarray, loss: np.ndarray, low: float, high: float, bar: float
) -> Any:
    """The loss over x and y (rows are y); hatched where it is above ``bar``, the loss unadapted."""
    mesh = axes.pcolormesh(
        edges(x),
        edges(y),
        np.clip(np.nan_to_num(loss, nan=high, posinf=high), low, high),
        norm=LogNorm(low, high),
        cmap=LOSSES,
        rasterized=True,
    )
    across, up = edges(x), edges(y)
    with mpl.rc_context({"hatch.linewidth": 0.5}):
        for i, row in enumerate(~(loss <= bar * (1 - 1e-3))):
            # A rectangle for every stretch of columns.
            turns = np.flatnonzero(np.diff(np.concatenate([[False], row, [False]]).astype(int)))
            for start, stop in turns.reshape(-1, 2):
                axes.add_patch(
                    Rectangle(
                        (across[start], up[i]),
                        across[stop] - across[start],
                        up[i + 1] - up[i],
                        fill=False,
                        hatch="////",
                        edgecolor="white",
                        linewidth=0,
                    )
                )
    return mesh


def curves(axes: Axes, iteration: np.ndarray, loss: dict[str, np.ndarray]) -> None:
    """Median and quartiles of each set of runs, shape (runs, records)."""
    reds = LinearSegmentedColormap.from_list("reds", ["#f4a59f", DEEP, "#4a0009"])
    deep = max(len(loss) - 1, 1)
    colours = [SHALLOW, *reds(np.linspace(0, 1, deep) if deep > 1 else [0.5])]
    for (name, runs), colour in zip(loss.items(), colours, strict=False):
        runs = np.where(np.isfinite(runs), runs, np.inf)
        low, middle, high = np.quantile(runs, [0.25, 0.5, 0.75], axis=0, method="nearest")
        axes.semilogy(iteration, middle, color=colour, label=name)
        axes.fill_between(iteration, low, high, color=colour, alpha=0.2, linewidth=0)
    axes.set(xlabel="meta-iteration", xlim=(iteration[0], iteration[-1]))
    axes.grid(axis="y", color=REFERENCE, alpha=0.2, linewidth=0.5)
