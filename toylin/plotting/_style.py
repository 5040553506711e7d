"""One style for all figures: deep is red, shallow is black, as in the paper."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from toylin._internal import checks

DEEP = "#c1121f"
SHALLOW = "#000000"
REFERENCE = "#6c757d"
SECOND = "#0a6ebd"  # blue: told from red and black by every common kind of colour blindness
THIRD = "#c77700"

COLUMN = 3.3  # inches: the column of a two-column paper
PAGE = 6.9

_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "lines.linewidth": 1.4,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "savefig.facecolor": "white",
    "figure.constrained_layout.use": False,  # figures ask for it; None is to mean none
    "figure.autolayout": False,
    "svg.hashsalt": "toylin",
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
}


@contextmanager
def style() -> Iterator[None]:
    """The style, for the code inside only."""
    with mpl.rc_context(_STYLE):
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, in inches; no window, no global state.

    Args:
        width: in inches; ``COLUMN`` and ``PAGE`` are those of a paper of two columns.
        height: in inches.
    """
    _check_size(width=width, height=height)
    return Figure(figsize=(float(width), float(height)), layout="constrained")


@contextmanager
def drawing(
    ax: Axes | None, size: tuple[float, float] = (5.0, 3.1), **options: Any
) -> Iterator[Any]:
    """Axes to draw on in the house style: those given, or of a new figure of pyplot's.

    Args:
        ax: axes of matplotlib, or None.
        size: width and height of a new figure, in inches.
        **options: of new axes, ``projection`` say.
    """
    checks.drawable("ax", ax, optional=True)
    if not isinstance(size, tuple | list) or len(size) != 2:
        raise ValueError(f"size must be a width and a height in inches, got {size!r}")
    for number in size:
        _check_size(size=number)
    with style():
        if ax is None:
            import matplotlib.pyplot as plt

            ax = plt.figure(figsize=size, layout="constrained").add_subplot(**options)
        yield ax


def _check_size(**inches: float) -> None:
    """Lengths that a figure can have."""
    for name, value in inches.items():
        checks.positive(name, value, below=500)
