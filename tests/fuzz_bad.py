"""Bad values for any argument, and good ones distorted."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import jax
import numpy as np

# Parameters that take a function, which may raise what it likes.
FUNCTIONS = {"formula", "grad", "loss", "model", "points_at", "transform"}

BAD: dict[str, Any] = {
    "None": None,
    "a word": "x",
    "nan": float("nan"),
    "inf": float("inf"),
    "-1": -1,
    "0": 0,
    "2**31": 2**31,
    "1.5": 1.5,
    "True": True,
    "complex": 1 + 2j,
    "a date": np.datetime64("2020-01-01"),
    "objects": np.array([object(), None]),
    "ragged": [[1.0], [1.0, 2.0]],
    "integers": np.array([1, 2]),
    "empty": np.zeros((0,)),
    "a cube": np.ones((3, 3, 3)),
    "nan array": np.array([[np.nan]]),
    "a dict": {},
    "a function": len,
    "a fraction": Fraction(1, 3),
}


def _twice(leaf: Any) -> Any:
    return np.stack([np.asarray(leaf)] * 2)


def _more_axes(leaf: Any) -> Any:
    return np.asarray(leaf)[..., None]


def _shorter(leaf: Any) -> Any:
    array = np.asarray(leaf)
    return array[:-1] if array.ndim else None


def _as_integers(leaf: Any) -> Any:
    array = np.asarray(leaf)
    return array.astype(int) if array.ndim and array.dtype.kind == "f" else None


# A good value made wrong in its arrays: of another shape, of another type.
DISTORTED: dict[str, Callable[[Any], Any]] = {
    "twice": _twice,
    "an axis more": _more_axes,
    "one row less": _shorter,
    "as integers": _as_integers,
}


def bad(how: str, good: Any) -> Any:
    """The bad value of that name; None where a distortion has nothing to change."""
    if how in BAD:
        return BAD[how]
    distort = DISTORTED[how]
    if isinstance(good, jax.Array | np.ndarray | float) and not isinstance(good, bool):
        return None if _is_key(good) else distort(good)
    leaves, structure = jax.tree.flatten(good)
    if not leaves or any(callable(leaf) or _is_key(leaf) for leaf in leaves):
        return None
    if not isinstance(leaves[-1], jax.Array | np.ndarray | float):
        return None
    last = distort(leaves[-1])
    return None if last is None else jax.tree.unflatten(structure, [*leaves[:-1], last])


def _is_key(leaf: Any) -> bool:
    dtype = getattr(leaf, "dtype", None)
    return dtype is not None and jax.dtypes.issubdtype(dtype, jax.dtypes.prng_key)
