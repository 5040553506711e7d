"""Loops of one step, forwards and back again, with all states held or few."""

from __future__ import annotations

from collections.abc import Callable
from math import isqrt
from typing import Any, TypeVar

import jax

State = TypeVar("State")
Vector = TypeVar("Vector")


def repeat(step: Callable[[State], State], start: State, times: int, remat: bool = False) -> State:
    """``step`` applied ``times`` times.

    With ``remat`` derivatives by JAX hold about sqrt(times) states and recompute the rest.
    """
    if not remat:
        return jax.lax.scan(lambda x, _: (step(x), None), start, length=times, unroll=times <= 2)[0]
    step = jax.checkpoint(step)
    segment = max(1, isqrt(times))
    middle = repeat(jax.checkpoint(lambda x: repeat(step, x, segment)), start, times // segment)
    return repeat(step, middle, times % segment)


def there_and_back(
    step: Callable[[State], State],
    back: Callable[[Vector, State], Vector],
    turn: Callable[[State], Vector],
    start: State,
    times: int,
    remat: bool,
) -> tuple[State, Vector]:
    """The end of ``repeat``, and ``turn`` of it taken back through the states in reverse order.

    ``back(vector, state)`` takes a vector from after a step to before it, given the state there.
    With ``remat`` about sqrt(times) states are held and the others recomputed.
    """
    if not remat:
        end, path = _path(step, start, times)
        return end, _return(back, turn(end), path)
    segment = max(1, isqrt(times))
    middle, starts = _path(lambda x: repeat(step, x, segment), start, times // segment)
    end, rest = _path(step, middle, times % segment)

    def back_over_segment(vector: Vector, state: State) -> Vector:
        return _return(back, vector, _path(step, state, segment)[1])

    return end, _return(back_over_segment, _return(back, turn(end), rest), starts)


def _path(step: Callable[[State], State], start: State, times: int) -> tuple[State, Any]:
    """The end, and the states before every step, stacked."""
    return jax.lax.scan(lambda x, _: (step(x), x), start, length=times, unroll=times <= 2)


def _return(back: Callable[[Vector, State], Vector], vector: Vector, path: Any) -> Vector:
    times = len(jax.tree.leaves(path)[0])
    return jax.lax.scan(
        lambda v, x: (back(v, x), None), vector, path, reverse=True, unroll=times <= 2
    )[0]
