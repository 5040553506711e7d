"""A figure as the bytes of a file: the same every time, without a date or a program in them."""

from __future__ import annotations

import io
from typing import Any

from matplotlib.figure import Figure

from toylin._internal import checks
from toylin.plotting._style import style

_OPTIONS: dict[str, dict[str, Any]] = {
    "png": {"dpi": 200, "metadata": {"Software": None}},
    "svg": {"metadata": {"Date": None}},
    "pdf": {"metadata": {"CreationDate": None}},
}
FORMATS = tuple(_OPTIONS)


def render(figure: Figure, kind: str) -> bytes:
    """A figure in the house style, as the content of a file.

    Args:
        figure: of matplotlib.
        kind: of the file, "png", "svg" or "pdf".
    """
    checks.drawable("figure", figure, "a figure")
    checks.choice("kind", kind, FORMATS)
    buffer = io.BytesIO()
    with style():
        figure.savefig(buffer, format=kind, **_OPTIONS[kind])
    return buffer.getvalue()
