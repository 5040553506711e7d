"""The loop of meta-training, which every run goes through: alone or beside others, whole or cut up.

An iteration's tasks follow from its number alone (``fold_in(key, i)``) and are drawn for a fixed
block of iterations at once, so that a run cut into pieces anywhere gives the numbers of one piece.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from toylin._internal.norms import norm
from toylin._internal.shapes import Array

Observe = Callable[[Any, Array, Any, Array, Array], Any]


class Loop(NamedTuple):
    """What is compiled in.

    ``loss`` has ``draw(key)``, what it samples (None where it samples nothing), and ``on(params,
    drawn)``, its value. ``observe(state, i, params, value, size)`` folds over the iterations,
    from the state that ``begin`` is given.
    """

    optimizer: Any
    num_steps: int
    record_every: int | None
    trajectory: bool
    observe: Observe | None = None
    ahead: int = 1
    measure_end: bool = False


class Carry(NamedTuple):
    """A run under way; ``diverged_at`` is ``num_steps`` as long as all has been finite."""

    params: Any
    memory: Any
    diverged_at: Array
    observed: Any
    loss: Array
    grad_norm: Array
    trajectory: Any


def num_records(num_steps: int, record_every: int) -> int:
    """How many of the iterations 0, ..., ``num_steps`` - 1 are recorded."""
    return -(-num_steps // record_every)


def begin(loop: Loop, loss: Any, params: Any, key: Any, observed: Any = None) -> Carry:
    """A run before its first iteration, in memory of its own (which may be given away)."""
    params = jax.tree.map(lambda p: jnp.array(p, jnp.result_type(p), copy=True), params)
    value = jax.eval_shape(lambda p, k: loss.on(p, loss.draw(k)), params, key)
    rows = 0
    if loop.record_every is not None:  # and a row for what comes after the last record
        rows = 1 + num_records(loop.num_steps - 1, loop.record_every)
    path = jax.tree.map(lambda p: jnp.zeros((rows, *p.shape), p.dtype), params)
    return Carry(
        params,
        jax.tree.map(_settled, loop.optimizer.init(params)),
        jnp.full((), loop.num_steps, jnp.int32),
        observed,
        jnp.zeros(rows, value.dtype),
        jnp.zeros(rows, value.dtype),
        path if loop.trajectory else None,
    )


def _settled(x: Any) -> Array:
    """``x`` with its type for good, so that it keeps it when an iteration hands it on."""
    return x if jax.dtypes.issubdtype(x.dtype, jax.dtypes.extended) else jnp.asarray(x, x.dtype)


def advance(loop: Loop, loss: Any, carry: Carry, key: Any, start: Any, stop: Any) -> Carry:
    """The iterations from ``start`` up to ``stop``.

    Bounds that are arrays serve all pieces by one program. Integers, ``start=0``, give trip counts
    that are known, and with them a loop that reverse mode goes through.
    """
    ahead = loop.ahead
    if ahead == 1:  # what is drawn is large: not copied out of a block
        return jax.lax.fori_loop(
            start, stop, lambda i, c: _step(loop, loss, c, i, _draw_one(loss, key, i)), carry
        )

    def block(number: Any, carry: Carry, low: Any = 0, high: Any = ahead) -> Carry:
        first = number * ahead
        drawn = _draw(loss, key, first, ahead)

        def one(j: Array, carry: Carry) -> Carry:
            mine = jax.tree.map(lambda x: jax.lax.dynamic_index_in_dim(x, j, keepdims=False), drawn)
            return _step(loop, loss, carry, first + j, mine)

        return jax.lax.fori_loop(low, high, one, carry)

    if isinstance(stop, int):
        whole, rest = divmod(stop, ahead)
        carry = jax.lax.fori_loop(0, whole, block, carry)
        return block(whole, carry, 0, rest) if rest else carry

    def piece(number: Array, carry: Carry) -> Carry:
        first = number * ahead
        return block(number, carry, jnp.maximum(start - first, 0), jnp.minimum(stop - first, ahead))

    return jax.lax.fori_loop(start // ahead, (stop + ahead - 1) // ahead, piece, carry)


def _draw(loss: Any, key: Any, first: Any, ahead: int) -> Any:
    if key is None:
        return None
    return jax.vmap(lambda i: _draw_one(loss, key, i))(first + jnp.arange(ahead))


def _draw_one(loss: Any, key: Any, i: Any) -> Any:
    return None if key is None else loss.draw(jax.random.fold_in(key, i))


def _step(loop: Loop, loss: Any, carry: Carry, i: Array, drawn: Any) -> Carry:
    params = carry.params
    value, grads = jax.value_and_grad(loss.on)(params, drawn)
    size = norm(grads).astype(value.dtype)
    updates, memory = loop.optimizer.update(grads, carry.memory, params)
    moved = jax.tree.map(lambda p, u: (p + u).astype(p.dtype), params, updates)
    if loop.measure_end:
        goes_on = i < loop.num_steps - 1
        moved = jax.tree.map(lambda new, old: jnp.where(goes_on, new, old), moved, params)
    diverged = ~(jnp.isfinite(value) & jnp.isfinite(size))
    observed = carry.observed
    if loop.observe is not None:
        observed = loop.observe(observed, i, params, value, size)
    records = (carry.loss, carry.grad_norm, carry.trajectory)
    if loop.record_every is not None:
        # Written at every iteration: the last of those that share a row is the one to be kept.
        row = (i + loop.record_every - 1) // loop.record_every
        put = lambda rows, x: jax.lax.dynamic_update_index_in_dim(rows, x, row, 0)  # noqa: E731
        records = jax.tree.map(put, records, (value, size, params if loop.trajectory else None))
    at = jnp.where(diverged, jnp.minimum(carry.diverged_at, i), carry.diverged_at)
    return Carry(moved, memory, at, observed, *records)
