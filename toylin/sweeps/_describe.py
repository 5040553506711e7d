"""Settings in words: what is written beside results, and compared on resuming."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np


def describe(value: Any) -> Any:
    """``value`` as plain JSON."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: describe(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"type": type(value).__name__, **fields}
    if isinstance(value, Mapping):
        return {str(k): describe(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [describe(v) for v in value]
    if value is None or isinstance(value, bool | str | int | float):
        return value
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        return np.asarray(value).tolist()
    if callable(value):
        return f"{value.__module__}.{value.__qualname__}"
    return repr(value)


def difference(old: Any, new: Any, path: str = "") -> str | None:
    """Where two descriptions first differ, in words; None where they are equal."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(k for k in new if k not in old)]:
            name = f"{path}.{key}" if path else str(key)
            if key not in old or key not in new:
                where = "the store has" if key in old else "this sweep has"
                return f"only {where} {name}"
            found = difference(old[key], new[key], name)
            if found:
                return found
        return None
    if old == new or (old != old and new != new):
        return None
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (a, b) in enumerate(zip(old, new, strict=True)):
            found = difference(a, b, f"{path}[{index}]")
            if found:
                return found
        return None
    return f"{path} is {_short(old)} in the store and {_short(new)} in this sweep"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
