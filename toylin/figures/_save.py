"""Write a figure and the data behind it: the same bytes every time, all or nothing."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from toylin._internal.files import npz_bytes, replace
from toylin.plotting import FORMATS, render, style

_DIGITS = 8
_NOISE = 1e-12  # figures show numbers of order one


def save(
    out: Path,
    name: str,
    figure: Figure,
    data: Mapping[str, np.ndarray],
    settings: Mapping[str, Any],
    caption: str,
) -> list[Path]:
    """Write NAME.png, .svg, .pdf, .npz (the data) and .json (settings, caption, versions).

    The data are rounded to 8 significant digits, on which unlike machines agree. Panels are laid
    out once, for all formats.

    Everything is made in memory first, and each file then replaces its predecessor in one step, so
    that a failure leaves earlier results as they were.
    """
    files: dict[str, bytes] = {}
    with style():
        if (layout := figure.get_layout_engine()) is not None:
            layout.execute(figure)
            figure.set_layout_engine(None)  # with one, even "none", every format draws twice
        for kind in FORMATS:
            files[kind] = render(figure, kind)
    files["npz"] = npz_bytes({key: _rounded(array) for key, array in data.items()})
    about = {"caption": caption, "settings": dict(settings), "versions": versions()}
    files["json"] = (json.dumps(about, indent=2) + "\n").encode()
    paths = [out / f"{name}.{suffix}" for suffix in files]
    for path, content in zip(paths, files.values(), strict=True):
        replace(path, content)
    return paths


def _rounded(array: np.ndarray) -> np.ndarray:
    """Floats by the digits that unlike machines agree on, and 0 for what is rounding alone."""
    if not np.issubdtype(array.dtype, np.floating):
        return array
    kept = np.where(np.abs(array) < _NOISE, 0.0, array)
    rounded = [float(f"{x:.{_DIGITS - 1}e}") for x in kept.flat]
    return np.array(rounded, array.dtype).reshape(array.shape)


def versions() -> dict[str, str]:
    """The software behind the numbers."""
    packages = {name: version(name) for name in ("toylin", "jax", "jaxlib", "optax", "numpy")}
    return {"python": platform.python_version(), **packages, "matplotlib": matplotlib.__version__}
