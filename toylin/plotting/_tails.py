"""Where the losses of single tasks lie, and where their mean does."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from toylin._internal import checks
from toylin.plotting._style import REFERENCE, SECOND, THIRD

_BINS = 40


def spread(ax: Axes, mean: float, median: float, losses: ArrayLike | None = None) -> None:
    """Mean and median on a logarithmic axis of losses, over the histogram of sampled ones.

    Args:
        ax: where to draw.
        mean: of the loss of a task.
        median: of the same.
        losses: of sampled tasks, any shape; no histogram if None.
    """
    checks.drawable("ax", ax)
    mean, median = _level("mean", mean), _level("median", median)
    if losses is not None:
        shown = np.ravel(np.asarray(checks.concrete("losses", losses)))
        shown = shown[np.isfinite(shown) & (shown > 0)]
        if not shown.size:
            raise ValueError("losses must hold a positive number, got none")
        bins = np.geomspace(np.quantile(shown, 1e-3), shown.max() * 1.001, _BINS)
        weights = np.full(shown.size, 1 / np.size(losses))
        ax.hist(
            shown,
            bins.tolist(),
            weights=weights,
            color=REFERENCE,
            alpha=0.45,
            label="sampled tasks",
        )
        ax.set_ylabel("share of sampled tasks")
    else:
        ax.set_yticks([])
    ax.set_xscale("log")
    for level, colour, line, name in (
        (median, SECOND, "--", "exact median"),
        (mean, THIRD, "-", "exact mean"),
    ):
        if np.isfinite(level) and level > 0:
            ax.axvline(level, color=colour, linestyle=line, label=f"{name}, {level:.3g}")
    ax.set_xlabel("loss after adaptation")
    ax.legend()


def _level(name: str, value: float) -> float:
    """A loss, which may be infinite."""
    number = checks.concrete(name, value)
    if number is None or number.shape != ():
        raise ValueError(f"{name} must be one number, got shape {np.shape(value)}")
    return float(number)
