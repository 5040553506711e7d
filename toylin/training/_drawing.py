"""Every outer loss in the two parts that the loop calls: what it draws, and its value on that."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from math import prod
from typing import Any

import jax

from toylin._internal.pytree import pytree_dataclass, static_field
from toylin._internal.shapes import Array

# Tasks are drawn for this many iterations at once (over all runs that are mapped together): one
# vectorised draw costs far less than as many small ones, and this much stays in the cache.
_MOST_AHEAD = 100
_MOST_BYTES = 2**23


@pytree_dataclass
class _Function:
    """A plain function as a pytree without leaves."""

    call: Callable[..., Array] = static_field()

    def __call__(self, *args: Any) -> Array:
        return self.call(*args)


@pytree_dataclass
class _Undrawn:
    """``loss(params)``: nothing is drawn."""

    loss: Callable[..., Array]

    def draw(self, key: Any) -> None:
        return None

    def on(self, params: Any, drawn: None) -> Array:
        return self.loss(params)


@pytree_dataclass
class _Keyed:
    """``loss(params, key)``: the key is all that is drawn ahead."""

    loss: Callable[..., Array]

    def draw(self, key: Any) -> Any:
        return key

    def on(self, params: Any, drawn: Any) -> Array:
        return self.loss(params, drawn)


def draws(loss: Any) -> bool:
    """Whether a loss says what it draws, and can be evaluated on that."""
    return callable(getattr(loss, "draw", None)) and callable(getattr(loss, "on", None))


def takes_key(loss: Any) -> bool:
    """Whether a loss samples.

    Raises:
        ValueError: it is neither ``loss(params)`` nor ``loss(params, key)``, and does not draw.
    """
    if draws(loss):
        return True
    if not callable(loss):
        raise ValueError(f"loss must be a function, got {loss!r}")
    required = [
        p
        for p in inspect.signature(loss).parameters.values()
        if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    if len(required) not in (1, 2):
        raise ValueError(
            "loss must be called as loss(params) or loss(params, key), "
            f"got a function of {len(required)} required arguments"
        )
    return len(required) == 2


def in_parts(loss: Any, params: Any) -> Any:
    """``loss`` as a pytree with ``draw(key)`` and ``on(params, drawn)``.

    A loss of ours may draw less than the points that it shows to the outside: what it needs of
    them to be evaluated once and differentiated once.
    """
    if hasattr(loss, "for_training"):
        return loss.for_training(params)
    if draws(loss):
        return loss
    keyed = takes_key(loss)
    if jax.tree_util.all_leaves([loss]):
        loss = _Function(loss)
    return _Keyed(loss) if keyed else _Undrawn(loss)


def block_size(loss: Any, key: Any, num_steps: int, runs: int) -> int:
    """For how many iterations to draw at once, where so many runs go side by side."""
    if key is None:
        return num_steps
    drawn = jax.tree.leaves(jax.eval_shape(loss.draw, key))
    size = sum(prod(leaf.shape) * leaf.dtype.itemsize for leaf in drawn)
    most = max(1, min(_MOST_AHEAD // runs, _MOST_BYTES // max(1, runs * size)))
    if num_steps <= most:
        return num_steps
    whole = next(n for n in range(most, 0, -1) if num_steps % n == 0)
    return whole if 4 * whole >= most else most
