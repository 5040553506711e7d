"""The figures, by name.

Each is a module of this package with

``STEPS``     how many times ``compute`` reports progress,
``SETTINGS``  what was asked (written beside the data),
``CAPTION``   what is seen, as a paper would say it,
``compute(tick)``  the arrays behind the figure, as a dict; calls ``tick()`` ``STEPS`` times,
``draw(data)``     the matplotlib ``Figure`` of those arrays.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

__all__ = ["FIGURES", "TEASER", "load"]

TEASER = ("loss_surface", "teaser", "depth")
FIGURES = (
    *TEASER,
    "bifurcation",
    "basins",
    "preconditioner",
    "meta_optimizer",
    "kronecker",
    "phase_diagram",
)


def load(name: str) -> ModuleType:
    """The module that makes the figure of that name."""
    if name not in FIGURES:
        raise ValueError(f"figure must be one of {', '.join(FIGURES)}, got {name!r}")
    return import_module(f"toylin.figures.{name}")
