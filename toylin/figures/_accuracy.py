"""How the figures on images show accuracies: a look for every method, and the level of chance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes

from toylin.plotting import band, reference_lines


class Look(NamedTuple):
    """A method's name in the legend, its colour, line and marker."""

    label: str
    colour: Any
    line: str
    marker: str


def draw_accuracy(axes: Axes, x: np.ndarray, runs: np.ndarray, look: Look, size: float) -> None:
    """The median and range of a method's runs, shape (runs, len(x)), with markers of that size."""
    band(axes, x, runs, look.colour, look.label)
    axes.lines[-1].set(ls=look.line, marker=look.marker, ms=size)


def label_accuracy(axes: Axes, data: Mapping[str, np.ndarray]) -> None:
    """The axis of accuracies, down to that of chance."""
    axes.set(ylabel="accuracy on unseen alphabets", ylim=(0.16, None))
    reference_lines(axes, {"chance": 1 / float(data["ways"])})
