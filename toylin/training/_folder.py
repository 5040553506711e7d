"""Saved runs of one folder, side by side: which they are, and in what they differ."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from toylin._internal.shapes import Array, Float
from toylin.training._saved_runs import SavedRun, load_run


class Ends(NamedTuple):
    """The loss at both ends of a run: means over the first and the last tenth of its records.

    Attributes:
        first: the mean over the first tenth.
        last: the mean over the last tenth.
        error: the standard error of ``last``, were its records independent; 0 for one record.
        records: how many ``last`` is the mean of.
    """

    first: float
    last: float
    error: float
    records: int


def load_runs(folder: str | Path) -> tuple[dict[str, SavedRun], dict[str, str]]:
    """Every run that ``save_run`` wrote into a folder, and every file there that cannot be read.

    Args:
        folder: where to look; not in the folders inside it.

    Returns:
        The runs by the names of their files, and what is wrong with the other .npz files by theirs;
        both in the order of the names.

    Raises:
        ValueError: ``folder`` is no folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"folder must be a folder with saved runs in it, got {str(folder)!r}")
    runs, damaged = {}, {}
    for path in sorted(folder.glob("*.npz"), key=lambda path: path.stem):
        try:
            runs[path.stem] = load_run(path)
        except ValueError as error:
            damaged[path.stem] = str(error)
    return runs, damaged


def differing_settings(runs: Mapping[str, SavedRun]) -> dict[str, list[Any]]:
    """The settings in which runs differ; None where a run does not have one.

    Args:
        runs: by name, as ``load_runs`` returns them.

    Returns:
        A list of values, one a run, by the name of the setting.
    """
    names = dict.fromkeys(name for run in runs.values() for name in run.settings)
    columns = {name: [run.settings.get(name) for run in runs.values()] for name in names}
    return {name: column for name, column in columns.items() if column != column[:1] * len(column)}


def loss_ends(loss: Float[Array, "*runs records"] | np.ndarray) -> Ends:
    """The loss over the first and the last tenth of the records, at least one of them.

    Args:
        loss: shape (..., records); NaN where there are none.
    """
    rows = np.asarray(loss, float)
    tenth = max(1, rows.shape[-1] // 10)
    if not rows.size:
        return Ends(np.nan, np.nan, np.nan, 0)
    last = rows[..., -tenth:].ravel()
    error = last.std(ddof=1) / np.sqrt(last.size) if last.size > 1 else 0.0
    return Ends(float(rows[..., :tenth].mean()), float(last.mean()), float(error), last.size)
