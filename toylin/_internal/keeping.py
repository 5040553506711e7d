"""Results that are computed once, and that no caller can change for the next one."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import lru_cache, wraps
from typing import ParamSpec, TypeVar

import numpy as np

P = ParamSpec("P")
T = TypeVar("T", bound=tuple[np.ndarray, ...])


def kept(function: Callable[P, T]) -> Callable[P, T]:
    """Compute a tuple of arrays once for every arguments: read-only, as all callers share them.

    Arguments of another type (2.0 for 2) are asked of the function, which may refuse them.
    """

    @lru_cache(maxsize=None, typed=True)
    def once(*args: Hashable, **kwargs: Hashable) -> T:
        arrays = function(*args, **kwargs)  # type: ignore[arg-type]
        for array in arrays:
            array.flags.writeable = False
        return arrays

    return wraps(function)(once)  # type: ignore[return-value]
