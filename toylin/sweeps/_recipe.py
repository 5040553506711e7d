"""The arguments of ``sweep`` that are no part of a problem, checked."""

from __future__ import annotations

from typing import Any

import numpy as np

from toylin._internal import checks
from toylin._internal.dtypes import float_dtype
from toylin.sweeps._program import Recipe


def check_recipe(
    *,
    loss: str,
    num_steps: int,
    record_every: int | None,
    test_tasks: int,
    learn_rule: bool,
    tolerance: float,
    dtype: Any,
) -> Recipe:
    """What is compiled into every program, from the arguments of ``sweep``."""
    checks.integer("num_steps", num_steps, minimum=1)
    checks.integer("test_tasks", test_tasks, minimum=1)
    checks.scalar("tolerance", tolerance, minimum=0.0)
    checks.flag("learn_rule", learn_rule)
    if record_every is None:
        records = next(k for k in range(min(100, num_steps), 0, -1) if not num_steps % k)
        record_every = num_steps // records
    checks.integer("record_every", record_every, minimum=1)
    if num_steps % record_every:
        raise ValueError(f"record_every must divide num_steps={num_steps}, got {record_every}")
    checks.choice("loss", loss, ("exact", "sampled"))
    numbers = (num_steps, record_every, loss, test_tasks, learn_rule)
    return Recipe(*numbers, float(tolerance), float_dtype(dtype).name)


def check_seeds(seeds: Any) -> np.ndarray:
    """The seeds, from how many there are or which."""
    if seeds is None:
        return np.array([0])
    if isinstance(seeds, int | np.integer) and not isinstance(seeds, bool):
        checks.integer("seeds", seeds, minimum=1)
        return np.arange(seeds)
    listed = list(seeds) if np.iterable(seeds) else seeds
    array = checks.numbers("seeds", listed)
    flags = any(isinstance(seed, bool) for seed in np.atleast_1d(np.asarray(listed, object)))
    if (
        flags
        or array.ndim != 1
        or not array.size
        or array.dtype.kind not in "iu"
        or array.min() < 0
    ):
        raise ValueError(
            f"seeds must be a number of seeds or a list of integers from 0 up, got {seeds!r}"
        )
    if array.max() >= 2**31:
        raise ValueError(f"seeds must be below 2**31, got {array.max()}")
    return array
