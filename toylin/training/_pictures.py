"""The picture of a run, or of several: the loss along meta-training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from toylin._internal import checks
from toylin.rules import Rule
from toylin.training._smoothing import smoothing_window

_DASHES = ("-", "--", "-.", ":")
_WIDEST, _NARROWEST = 2.4, 1.2  # points, of the lowest and the topmost of curves: none is hidden
_FEW = 20_000  # points among which to look for the best place of a legend
_LOWEST = 1e-6  # of the highest loss: rounding, further down, would take most of a picture


def plot(
    run: Any,
    ax: Any = None,
    *,
    label: str | None = None,
    window: int | None = None,
    references: Mapping[str, Any] | None = None,
) -> Any:
    """Draw the loss along meta-training: black for one array of weights, red for more.

    Args:
        run: a ``Run`` or a ``SavedRun``, of which this is the method ``plot``.
        ax: matplotlib axes to draw on; new ones if None.
        label: a name for the legend.
        window: records to average over; the losses themselves are pale behind their running mean.
            By default (None) a fiftieth of the records where these jump as sampled losses do, and
            1, no mean, where they do not.
        references: levels to compare with, by name, as ``reference_losses`` returns them.

    Runs side by side (``jax.vmap``) are drawn as their median and their range.

    Returns:
        The axes.

    Raises:
        ValueError: ``window`` is no integer from 1 to the number of records.
    """
    from toylin import plotting

    _check_references(references)
    x, rows, window = _records(run, window)
    if label is None and window > 1:
        label = f"running mean of {window}"
    colour = plotting.SHALLOW if _layers(run.params) == 1 else plotting.DEEP
    with plotting.drawing(ax) as ax:
        plotting.training_curve(ax, x, rows, colour, label, window)
        if ax.get_yscale() == "linear":
            ax.set_ylim(bottom=0)
        if label:
            _legend(ax)
        if references:
            plotting.reference_lines(ax, {name: float(v) for name, v in references.items()})
    return ax


def plot_together(
    runs: Mapping[str, Any],
    ax: Any = None,
    *,
    windows: Mapping[str, int] | None = None,
    references: Mapping[str, Any] | None = None,
) -> Any:
    """Draw the losses of several runs along meta-training, each told by its colour and its dashes.

    A curve is narrower than those that it lies on. The axis is logarithmic, and ends at a millionth
    of the highest loss.

    Args:
        runs: each a ``Run`` or a ``SavedRun``, by the name for the legend; black for one array of
            weights, reds for more, from light to dark with their number.
        ax: matplotlib axes to draw on; new ones if None.
        windows: records to average over, by run; for those that it does not name, as ``plot`` of
            that run does by default.
        references: levels to compare with, by name, as ``reference_losses`` returns them; those
            below that end are left out.

    Returns:
        The axes.

    Raises:
        ValueError: a window is no integer from 1 to the number of records.
    """
    from toylin import plotting

    _check_references(references)
    ordered = sorted(runs, key=lambda name: _layers(runs[name].params))
    colours = plotting.depth_colours([_layers(runs[name].params) for name in ordered])
    with plotting.drawing(ax) as ax:
        for place, (name, colour) in enumerate(zip(ordered, colours, strict=True)):
            x, rows, window = _records(runs[name], (windows or {}).get(name))
            before = len(ax.lines)
            plotting.training_curve(ax, x, rows, colour, name, window)
            *pale, curve = ax.lines[before:]
            for line in pale:
                line.set_zorder(1)
            width = _WIDEST - (_WIDEST - _NARROWEST) * place / max(1, len(ordered) - 1)
            curve.set(linestyle=_DASHES[place % len(_DASHES)], linewidth=width)
        ax.set_yscale("log")
        low, high = ax.get_ylim()
        ax.set_ylim(max(low, _LOWEST * high), high)
        _legend(ax)
        levels = {name: float(level) for name, level in (references or {}).items()}
        plotting.reference_lines(ax, {n: v for n, v in levels.items() if v > _LOWEST * high})
    return ax


def _check_references(references: Mapping[str, Any] | None) -> None:
    """Levels by name, as ``reference_losses`` returns them."""
    if references is not None:
        checks.instance("references", references, Mapping)
        for name, level in references.items():
            checks.text("every name in references", name)
            checks.scalar(f"references[{name!r}]", level)


def _records(run: Any, window: int | None) -> tuple[np.ndarray, np.ndarray, int]:
    """Which iterations are recorded, the losses there, shape (runs, records), and the window."""
    *runs, records = np.shape(run.loss)
    rows = np.asarray(run.loss).reshape(int(np.prod(runs)), records)
    iteration = np.arange(records) if run.iteration is None else run.iteration
    x = np.ravel(iteration)[-records:]
    window = smoothing_window(rows) if window is None else window
    checks.integer("window", window, minimum=1)
    if window > rows.shape[1]:
        raise ValueError(
            f"window must be at most the number of records, {rows.shape[1]}, got {window}"
        )
    return x, rows, window


def _layers(params: Any) -> int:
    """How many arrays of weights; of a pair (params, rule) the params count."""
    if isinstance(params, tuple) and len(params) == 2 and isinstance(params[1], Rule):
        params = params[0]
    leaves = jax.tree.leaves(params)
    return len([w for w in leaves if np.ndim(w) > 1] or leaves)  # a bias is no layer


def _legend(ax: Any) -> None:
    """Where no curve is; that is looked for point by point, and losses mostly fall."""
    points = sum(len(line.get_xdata()) for line in ax.lines)
    ax.legend(loc="best" if points <= _FEW else "upper right")
