"""What a person reads of an object: its fields by name, arrays by type and shape."""

from __future__ import annotations

import dataclasses
from html import escape
from types import FunctionType
from typing import Any, TypeVar

import jax
import numpy as np

_Class = TypeVar("_Class")
_SHOWN = 4  # arrays of more entries are shown by their shape
_LISTED = 20  # tuples of more are shown by their beginning


def shown(cls: type[_Class]) -> type[_Class]:
    """Give a dataclass or named tuple that text as its repr, and a table of it in Jupyter."""
    cls.__repr__ = text  # type: ignore[method-assign]
    cls._repr_html_ = html  # type: ignore[attr-defined]
    return cls


def text(node: Any) -> str:
    """``Name(field=..., ...)`` in one line."""
    parts = (f"{name}={value}" for name, value in _fields(node))
    return f"{type(node).__name__}({', '.join(parts)})"


def html(node: Any) -> str:
    """A table of the fields."""
    cell = 'style="text-align: left"'
    rows = "".join(
        f"<tr><th {cell}>{escape(name)}</th><td {cell}><code>{escape(value)}</code></td></tr>"
        for name, value in _fields(node)
    )
    name = escape(type(node).__name__)
    return f"<table><thead><tr><th {cell} colspan=2>{name}</th></tr></thead>{rows}</table>"


def _fields(node: Any) -> list[tuple[str, str]]:
    names = getattr(node, "_fields", None) or [f.name for f in dataclasses.fields(node)]
    return [(name, _shown(getattr(node, name))) for name in names]


def _shown(value: Any) -> str:
    if isinstance(value, tuple | list) and not hasattr(value, "_fields"):
        if len(value) > _LISTED:
            return f"({_shown(value[0])}, {_shown(value[1])}, ... {len(value)} in all)"
        inside = ", ".join(map(_shown, value))
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k!r}: {_shown(v)}" for k, v in value.items()) + "}"
    if isinstance(value, FunctionType):
        return value.__name__
    if not isinstance(value, jax.Array | np.ndarray):
        return repr(value)
    if value.size > _SHOWN or isinstance(value, jax.core.Tracer):
        return f"{value.dtype}[{','.join(map(str, value.shape))}]"
    return _entries(np.asarray(value).tolist())


def _entries(value: Any) -> str:
    """Nested lists of numbers, to six digits."""
    if isinstance(value, list):
        return f"[{', '.join(map(_entries, value))}]"
    return f"{value:.6g}" if isinstance(value, float) else repr(value)
