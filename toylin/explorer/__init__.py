"""The explorer: one page, no network, on which to turn the problem's knobs.

``page()`` puts the template, the style, the scripts and the Gauss nodes into one HTML text. The
scripts compute what ``closed_form.outer_loss`` does, on the same nodes.
"""

from __future__ import annotations

import json
from importlib.resources import files
from string import Template
from typing import Any

import numpy as np

from toylin.quadrature import gauss_gamma, gauss_normal, nodes_for_degree
from toylin.tasks import loss_degrees

__all__ = ["page"]

MAX_DEPTH = 4
SHOTS = (1, 2, 3, 5, 10, 20, 50, 100)
STEP_SIZES = (*(k / 100 for k in range(1, 150)), *(k / 10 for k in range(15, 41)))
FIRST_STEP_SIZE = 0.1
SCRIPTS = tuple(
    f"{name}.js"
    for name in (
        "math",
        "plots",
        "relief",
        "task",
        "arrows",
        "classify",
        "verdict",
        "address",
        "play",
        "chapters",
        "hands",
        "explorer",
    )
)


def page() -> str:
    """The whole page as HTML."""
    folder = files(__package__)
    scripts = [f"const TABLES = {json.dumps(_tables())};"]
    scripts += [(folder / name).read_text(encoding="utf-8") for name in SCRIPTS]
    return Template((folder / "page.html").read_text(encoding="utf-8")).substitute(
        style=(folder / "explorer.css").read_text(encoding="utf-8"),
        script="\n".join(scripts),
        population=len(SHOTS),  # the last place on the slider, after all numbers of shots
        last_step=len(STEP_SIZES) - 1,
        first_step=STEP_SIZES.index(FIRST_STEP_SIZE),
    )


def _tables() -> dict[str, Any]:
    """Nodes and weights that are exact for one inner step, by their number (depth + 1)."""
    counts = set()
    for depth in range(1, MAX_DEPTH + 1):
        in_theta, in_s = loss_degrees(depth, steps=1)
        assert in_theta == in_s
        counts.add(nodes_for_degree(in_theta))
    return {
        "maxDepth": MAX_DEPTH,
        "shots": SHOTS,
        "stepSizes": STEP_SIZES,
        "normal": {n: _rule(*gauss_normal(n)) for n in sorted(counts)},
        "gamma": {k: {n: _rule(*gauss_gamma(n, k / 2)) for n in sorted(counts)} for k in SHOTS},
    }


def _rule(nodes: np.ndarray, log_weight: np.ndarray) -> dict[str, list[float]]:
    return {"x": nodes.tolist(), "weight": np.exp(log_weight).tolist()}
