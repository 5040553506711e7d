"""An axis of settings: numbers, numbers in equal ratios, or categories."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from toylin._internal import checks

_FEW = 8  # values that all get a tick


class Scale(NamedTuple):
    """How to draw along an axis of settings.

    Attributes:
        order: the values' indices, in the order of their places.
        places: where they are drawn.
        edges: the borders of their cells, one more than there are values.
        names: the values as words.
        log: whether the axis is logarithmic.
        numbers: whether the places are the values themselves; else they are categories.
    """

    order: np.ndarray
    places: np.ndarray
    edges: np.ndarray
    names: list[str]
    log: bool
    numbers: bool

    def apply(self, axis: Any, label: str) -> None:
        """Scale, ticks and label of an ``XAxis`` or ``YAxis`` of matplotlib."""
        if not hasattr(axis, "set_label_text"):
            raise ValueError(f"axis must be an axis of matplotlib, ax.xaxis say, got {axis!r}")
        checks.text("label", label)
        # A logarithmic axis has ticks of its own, and minor ones that would stand between ours.
        axis.set_label_text(label)
        if self.log:
            getattr(axis.axes, f"set_{axis.axis_name}scale")("log")
        if not self.numbers or (len(self.places) <= _FEW and not self.log):
            axis.set_ticks(self.places, self.names)
            axis.minorticks_off()


def scale_of(values: ArrayLike) -> Scale:
    """How to draw these values: finite numbers as such, on a log axis where ratios are equal.

    Words and what is infinite (the population, as a number of shots) are categories, in the order
    given.

    Args:
        values: numbers or words, one a place, no two alike.
    """
    if len(checks.shape_of("values", values)) != 1 or not np.size(values):
        raise ValueError(
            f"values must be numbers or words, one at least, got shape {np.shape(values)}"
        )
    array = np.asarray(values)
    if array.dtype.kind not in "fiuUb":
        raise ValueError(f"values must be real numbers or words, got {values!r}")
    if np.unique(array).size < array.size or (array.dtype.kind == "f" and np.isnan(array).any()):
        raise ValueError(f"values must be numbers or words, no two alike, got {values!r}")
    numbers = array.dtype.kind in "fiu" and bool(np.all(np.isfinite(array)))
    order = np.argsort(array, kind="stable") if numbers else np.arange(array.size)
    places = array[order].astype(float) if numbers else np.arange(float(array.size))
    log = numbers and _equal_ratios(places)
    edges = np.exp(_edges(np.log(places))) if log else _edges(places)
    return Scale(order, places, edges, [_name(v) for v in array[order]], log, numbers)


def _equal_ratios(places: np.ndarray) -> bool:
    """Whether increasing numbers have equal ratios, and not equal differences."""
    if places.size < 3 or places[0] <= 0:
        return False
    ratios, gaps = np.diff(np.log(places)), np.diff(places)
    return bool(np.allclose(ratios, ratios[0], rtol=1e-4) and not np.allclose(gaps, gaps[0]))


def _edges(places: np.ndarray) -> np.ndarray:
    """The cell borders around increasing places."""
    if places.size == 1:
        return places[0] + np.array([-0.5, 0.5])
    middle = (places[1:] + places[:-1]) / 2
    return np.concatenate([[2 * places[0] - middle[0]], middle, [2 * places[-1] - middle[-1]]])


def _name(value: Any) -> str:
    if not isinstance(value, np.number):
        return str(value)
    return "population" if np.isinf(value) else f"{value:.3g}"
