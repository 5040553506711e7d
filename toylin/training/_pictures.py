"""The picture of a run: its loss along meta-training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from toylin._internal import checks
from toylin.rules import Rule


def plot_losses(
    ax: Any,
    params: Any,
    iteration: Any,
    loss: Any,
    label: str | None,
    window: int,
    references: Mapping[str, Any] | None,
) -> Any:
    """What ``Run.plot`` and ``SavedRun.plot`` draw."""
    from toylin import plotting

    *runs, records = np.shape(loss)
    rows = np.asarray(loss).reshape(int(np.prod(runs)), records)
    x = np.ravel(iteration)[-rows.shape[1] :]
    checks.integer("window", window, minimum=1)
    if window > rows.shape[1]:
        raise ValueError(
            f"window must be at most the number of records, {rows.shape[1]}, got {window}"
        )
    colour = plotting.SHALLOW if _is_shallow(params) else plotting.DEEP
    with plotting.drawing(ax) as ax:
        plotting.training_curve(ax, x, rows, colour, label, window)
        if ax.get_yscale() == "linear":
            ax.set_ylim(bottom=0)
        if label:
            ax.legend()
        if references:
            plotting.reference_lines(ax, {name: float(v) for name, v in references.items()})
    return ax


def _is_shallow(params: Any) -> bool:
    """Whether the model has one array of weights; of a pair (params, rule) the params count."""
    if isinstance(params, tuple) and len(params) == 2 and isinstance(params[1], Rule):
        params = params[0]
    return len(jax.tree.leaves(params)) == 1
