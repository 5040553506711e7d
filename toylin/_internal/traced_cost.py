"""What a run costs, read off its traced program before anything is compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np


class Cost(NamedTuple):
    """``bytes`` of memory a run can need at once, at most; ``work``: bytes it writes in all."""

    bytes: int
    work: float


def cost(function: Callable[..., Any], *args: Any) -> Cost:
    """The cost of one call, summed over the operations of its jaxpr.

    As if no operation were fused and nothing were freed inside a loop's body: an upper bound, since
    XLA does both. What a loop stacks counts in full, and its body once. Outputs count twice, for
    the copy on the host.
    """
    closed = jax.make_jaxpr(function)(*args)
    memory, work = _jaxpr(closed.jaxpr)
    outputs = sum(_bytes(v) for v in closed.jaxpr.outvars)
    return Cost(memory + outputs, work)


def _bytes(variable: Any) -> int:
    aval = variable.aval
    try:
        size = aval.dtype.itemsize
    except (AttributeError, TypeError):
        size = 8
    return int(np.prod(aval.shape)) * size


def _jaxpr(jaxpr: Any) -> tuple[int, float]:
    memory, work = 0, 0.0
    for equation in jaxpr.eqns:
        out = sum(_bytes(v) for v in equation.outvars)
        memory += out
        work += out
        for inner in _inner(equation):
            inner_memory, inner_work = _jaxpr(inner)
            memory += inner_memory
            work += inner_work * equation.params.get("length", 1)
    return memory, work


def _inner(equation: Any) -> list[Any]:
    found = []
    for value in equation.params.values():
        for item in value if isinstance(value, tuple | list) else (value,):
            item = getattr(item, "jaxpr", item)
            if hasattr(item, "eqns"):
                found.append(item)
    return found
