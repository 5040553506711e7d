"""The picture of a run: its loss along meta-training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from toylin._internal import checks
from toylin.rules import Rule


def plot(
    run: Any,
    ax: Any = None,
    *,
    label: str | None = None,
    window: int = 1,
    references: Mapping[str, Any] | None = None,
) -> Any:
    """Draw the loss along meta-training: black for one array of weights, red for more.

    Args:
        run: a ``Run`` or a ``SavedRun``, of which this is the method ``plot``.
        ax: matplotlib axes to draw on; new ones if None.
        label: a name for the legend.
        window: records to average over, where the losses are sampled.
        references: levels to compare with, by name, as ``reference_losses`` returns them.

    Runs side by side (``jax.vmap``) are drawn as their median and their range.

    Returns:
        The axes.

    Raises:
        ValueError: ``window`` is no integer from 1 to the number of records.
    """
    from toylin import plotting

    *runs, records = np.shape(run.loss)
    rows = np.asarray(run.loss).reshape(int(np.prod(runs)), records)
    iteration = np.arange(records) if run.iteration is None else run.iteration
    x = np.ravel(iteration)[-records:]
    checks.integer("window", window, minimum=1)
    if window > rows.shape[1]:
        raise ValueError(
            f"window must be at most the number of records, {rows.shape[1]}, got {window}"
        )
    colour = plotting.SHALLOW if _is_shallow(run.params) else plotting.DEEP
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
