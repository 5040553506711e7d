"""The figures, by name.

Each is a module of this package with

``STEPS``     how many times ``compute`` reports progress,
``SETTINGS``  what was asked (written beside the data),
``CAPTION``   what is seen, as a paper would say it; it begins with its heading,
``compute(tick)``  the arrays behind the figure, as a dict; calls ``tick()`` ``STEPS`` times,
``draw(data)``     the matplotlib ``Figure`` of those arrays.

Those on images have ``BUDGETS``, settings by name, in place of ``SETTINGS``, ``steps(settings)`` in
place of ``STEPS``, and ``compute(tick, settings, root)``, ``root`` being the folder of the images.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

__all__ = ["BUDGETS", "FIGURES", "ON_IMAGES", "TEASER", "Plan", "headed", "load", "plan"]

TEASER = ("loss_surface", "teaser", "depth")
ON_IMAGES = ("omniglot", "convolutional")
FIGURES = (
    *TEASER,
    "bifurcation",
    "basins",
    "preconditioner",
    "meta_optimizer",
    "kronecker",
    "meta_kfo_steps",
    "phase_diagram",
    *ON_IMAGES,
)
BUDGETS = ("small", "large")


class Plan(NamedTuple):
    """How a figure is made, with its settings chosen."""

    module: ModuleType
    settings: Mapping[str, Any]
    steps: int
    compute: Callable[[Callable[[], None]], dict[str, Any]]


def load(name: str) -> ModuleType:
    """The module that makes the figure of that name."""
    if name not in FIGURES:
        raise ValueError(f"figure must be one of {', '.join(FIGURES)}, got {name!r}")
    return import_module(f"toylin.figures.{name}")


def headed(caption: str) -> tuple[str, str]:
    """The heading of a caption, up to its first ". " or ": ", and the rest."""
    heading, rest = re.split(r"[.:] ", caption, maxsplit=1)
    return heading, rest


def plan(name: str, root: Path | None = None, budget: str = "small") -> Plan:
    """How to make the figure of that name.

    Args:
        name: of the figure.
        root: the folder of the images, for figures that are ``ON_IMAGES``.
        budget: of those, "small" or "large".

    Raises:
        ValueError: no such figure or budget, or no root where one is needed, or one where none is.
    """
    module = load(name)
    if name not in ON_IMAGES:
        if root is not None:
            raise ValueError(f"root must be for {' or '.join(ON_IMAGES)}, not {name}")
        return Plan(module, module.SETTINGS, module.STEPS, module.compute)
    if root is None:
        raise ValueError(f"root must be the folder of the images, which {name} needs; got None")
    if budget not in BUDGETS:
        raise ValueError(f"budget must be one of {', '.join(BUDGETS)}, got {budget!r}")
    settings = module.BUDGETS[budget]
    compute = partial(module.compute, settings=settings, root=root)
    return Plan(module, {"budget": budget, **settings}, module.steps(settings), compute)
