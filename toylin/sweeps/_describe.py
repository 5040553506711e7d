"""Settings in words: what is written beside results, and compared on resuming."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from toylin.sweeps._code import describe_code

_IN_FULL = 1000  # entries of an array; longer ones go by a hash


def describe(value: Any) -> Any:
    """``value`` as plain JSON: equal descriptions give equal numbers."""
    if isinstance(value, type):
        return describe_code(value)
    if dataclasses.is_dataclass(value):
        fields = {f.name: describe(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"type": _kind(value), **fields}
    if hasattr(value, "_asdict"):
        return {"type": _kind(value), **describe(value._asdict())}
    if isinstance(value, Mapping):
        return {str(k): describe(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [describe(v) for v in value]
    if value is None or isinstance(value, bool | str | int | float):
        return value
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        array = np.asarray(value)
        if array.size <= _IN_FULL and array.dtype != object:
            return array.tolist()
        if array.dtype.kind in "biuf":
            sha256 = hashlib.sha256(array.tobytes()).hexdigest()
            return {"shape": list(array.shape), "dtype": array.dtype.str, "sha256": sha256}
    return describe_code(value)


def _kind(value: Any) -> Any:
    kind = type(value)
    return kind.__name__ if kind.__module__.startswith("toylin.") else describe_code(kind)


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
