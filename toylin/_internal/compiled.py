"""Public functions that compile once a structure, also when they are called outside ``jit``."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import jax
import numpy as np

from toylin._internal import checks

_P = ParamSpec("_P")
_R = TypeVar("_R")


def compiled(*static: str) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """``jax.jit``, with the named arguments static, for functions that check their input.

    Called eagerly, a loop inside a function would be traced and compiled at every call. Arguments
    that ``jit`` or the function refuses go to the function as it is, which names what it got: under
    ``jit`` it would see tracers, and JAX add notes of its own.
    """

    def decorate(function: Callable[_P, _R]) -> Callable[_P, _R]:
        fast = jax.jit(function, static_argnames=static)
        names = list(inspect.signature(function).parameters)

        @wraps(function)
        def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            given = {**dict(zip(names, args, strict=False)), **kwargs}
            if "remat" in given:
                checks.flag("remat", given["remat"])
            arrays = [value for name, value in given.items() if name not in static]
            if all(_is_numeric(leaf) for leaf in jax.tree.leaves(arrays)):
                try:
                    return fast(*args, **kwargs)
                except ValueError:
                    pass
            return function(*args, **kwargs)

        return call

    return decorate


def _is_numeric(leaf: Any) -> bool:
    if isinstance(leaf, jax.Array | float | int):
        return True
    return isinstance(leaf, np.ndarray | np.generic) and np.issubdtype(leaf.dtype, np.number)
