"""Runs from Python: compiled once a structure, in pieces that can be watched and stopped."""

from __future__ import annotations

import time
import warnings
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np

from toylin._internal.batching import mapped_size
from toylin._internal.by_structure import ByStructure
from toylin._internal.interrupt import stop_on_interrupt
from toylin._internal.progress import progress_bar
from toylin._internal.tracing import has_tracers, traced
from toylin.training._drawing import block_size
from toylin.training._loop import Carry, Loop, advance, begin

_PIECE = 0.7  # seconds: what Ctrl-C waits for
_GROWTH = 16  # at most so many times the iterations of the piece before
_PROGRAMS = 32  # kept; a program takes some ten megabytes


class _Program:
    """The compiled loop for arguments of one structure, and how long an iteration takes."""

    def __init__(self, loop: Loop, mapped: bool) -> None:
        def whole(loss: Any, params: Any, key: Any, observed: Any) -> Carry:
            return advance(loop, loss, first(loss, params, key, observed), key, 0, loop.num_steps)

        first: Callable[..., Carry] = partial(begin, loop)
        further: Callable[..., Carry] = partial(advance, loop)
        if mapped:
            first = jax.vmap(first, in_axes=(None, 0, None, 0))
            further = jax.vmap(further, in_axes=(None, 0, None, None, None))
            whole = jax.vmap(whole, in_axes=(None, 0, None, 0))
        self.whole = jax.jit(whole)
        self.begin = jax.jit(first)
        self.advance = jax.jit(further, donate_argnums=1)
        self.loop = loop
        self.seconds: float | None = None

    def measure(self, count: int, seconds: float) -> int:
        """Learn from a piece of ``count`` iterations; how many the next piece may have."""
        self.seconds = seconds / count
        return max(1, min(_GROWTH * count, self.piece()))

    def piece(self) -> int:
        """How many iterations fit in a piece, as far as is known."""
        return 1 if self.seconds is None else max(1, int(_PIECE / max(self.seconds, 1e-9)))


# By all that is compiled in, one structure of arguments an entry, so that forgetting the entry
# forgets all that it compiled.
_programs: OrderedDict[Any, _Program] = OrderedDict()


def _program(loop: Loop, arguments: tuple[Any, ...], mapped: bool, inside: bool) -> _Program:
    runs = mapped_size(arguments) if inside else 1
    same = (ByStructure(loop.optimizer), loop._replace(optimizer=None))
    name = (*same, _structure(arguments), mapped, runs)
    if name in _programs:
        _programs.move_to_end(name)
        return _programs[name]
    loss, params, key, _ = arguments
    if mapped:
        runs *= len(jax.tree.leaves(params)[0])
    ahead = block_size(loss, key, loop.num_steps, runs)
    _programs[name] = program = _Program(loop._replace(ahead=ahead), mapped)
    while len(_programs) > _PROGRAMS:
        _programs.popitem(last=False)
    return program


def _structure(tree: Any) -> Any:
    leaves, treedef = jax.tree.flatten(tree)
    return treedef, tuple(
        (getattr(x, "shape", ()), getattr(x, "dtype", type(x)), getattr(x, "weak_type", False))
        for x in leaves
    )


def drive(
    loop: Loop,
    loss: Any,
    params: Any,
    key: Any,
    observed: Any = None,
    *,
    mapped: bool = False,
    finished: Callable[[Any], bool] | None = None,
    progress: bool = False,
) -> tuple[Carry, int]:
    """Run the loop; return where it ends and how many iterations that took.

    Called from Python it goes in pieces of about ``_PIECE``, each the same program, and ends
    early by Ctrl-C or where ``finished(observed)``. Under a transformation it is one program.

    Args:
        loop: what is compiled in.
        loss: with ``draw`` and ``on``, as ``Loop`` says.
        params: where the run starts.
        key: a JAX random key, or None for a loss that draws nothing.
        observed: where the fold of ``loop.observe`` starts.
        mapped: many runs side by side: ``params`` and ``observed`` have a leading axis of runs.
        finished: whether what was observed suffices.
        progress: show a bar.
    """
    arguments = (loss, params, key, observed)
    inside = traced(arguments)
    program = _program(loop, arguments, mapped, inside)
    if inside:
        return program.whole(*arguments), loop.num_steps
    done, size = 0, program.piece()
    with (
        stop_on_interrupt() as stop,
        progress_bar(progress, loop.num_steps, "iterations") as count,
    ):
        carry = program.begin(*arguments)
        while done < loop.num_steps and not stop.is_set():
            upto = _end(program.loop, done, size)
            compiled, since = program.seconds is not None or done > 0, time.perf_counter()
            with warnings.catch_warnings():  # of a gift that a transformation cannot take
                warnings.filterwarnings("ignore", "Some donated buffers were not usable")
                carry = program.advance(loss, carry, key, done, upto)
            if has_tracers(carry):
                # A function of the arguments closes over what is being transformed.
                return program.whole(*arguments), loop.num_steps
            jax.block_until_ready(carry)
            if compiled:
                size = program.measure(upto - done, time.perf_counter() - since)
            count(upto - done)
            done = upto
            if finished is not None and finished(carry.observed):
                break
            if finished is not None:
                size = min(size, done)  # at most twice what is needed
    return carry, done


def _end(loop: Loop, done: int, size: int) -> int:
    """Where a piece of about ``size`` iterations ends: with a block of draws, if it has one."""
    upto = done + size
    if size >= loop.ahead:
        upto -= upto % loop.ahead
    return min(max(upto, done + 1), loop.num_steps)


def all_finite(params: Any) -> bool:
    """Whether every number is."""
    return all(np.isfinite(np.asarray(leaf)).all() for leaf in jax.tree.leaves(params))
