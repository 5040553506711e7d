"""Which start reaches which minimum, and how fast."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from toylin._internal import checks
from toylin._internal.shapes import Array, Float, Int


class Basins(NamedTuple):
    """Where meta-training from each start ends.

    Attributes:
        target: the index of the first minimum that was reached; -1 for none in time.
        iterations: how many iterations that took; ``num_steps`` for none.
        end: the last point.
    """

    target: Int[Array, " starts"]
    iterations: Int[Array, " starts"]
    end: Float[Array, "starts variables"]


def basins(
    loss: Callable[[Array], Array],
    starts: ArrayLike,
    targets: ArrayLike,
    optimizer: Any,
    num_steps: int,
    radius: float = 1e-2,
) -> Basins:
    """Follow meta-training from every start until it comes within ``radius`` of a target.

    One compiled loop over all starts, which stops when the last has arrived.

    Args:
        loss: a smooth function of a vector.
        starts: shape (starts, variables).
        targets: the minima, shape (targets, variables).
        optimizer: an ``optax.GradientTransformation``.
        num_steps: the longest training.
        radius: how near counts as reached.

    Raises:
        ValueError: shapes that disagree, no positive number of steps, or a radius of zero.
    """
    checks.integer("num_steps", num_steps, minimum=1)
    starts, targets = jnp.asarray(starts), jnp.asarray(targets)
    if starts.ndim != 2 or targets.ndim != 2 or starts.shape[1] != targets.shape[1]:
        raise ValueError(
            "starts and targets must be rows of equally many variables, got shapes "
            f"{starts.shape} and {targets.shape}"
        )
    if not radius > 0:
        raise ValueError(f"radius must be a positive number, got {radius!r}")
    if jax.tree_util.all_leaves([loss]):
        loss = jax.tree_util.Partial(loss)
    return _follow(loss, starts, targets, optimizer, num_steps, radius)


@partial(jax.jit, static_argnames=("optimizer", "num_steps"))
def _follow(
    loss: Any, starts: Array, targets: Array, optimizer: Any, num_steps: int, radius: float
) -> Basins:
    def reached(w: Array) -> Array:
        distance = jnp.linalg.norm(w[:, None] - targets, axis=-1)
        return jnp.where(distance.min(axis=1) < radius, distance.argmin(axis=1), -1)

    def go_on(state: tuple[Array, Basins, Any]) -> Array:
        step, now, _ = state
        return (step < num_steps) & jnp.any(now.target < 0)

    def advance(state: tuple[Array, Basins, Any]) -> tuple[Array, Basins, Any]:
        step, now, memory = state
        updates, memory = jax.vmap(optimizer.update)(jax.vmap(jax.grad(loss))(now.end), memory)
        arrived = now.target >= 0
        end = jnp.where(arrived[:, None], now.end, now.end + updates)
        target = jnp.where(arrived, now.target, reached(end))
        iterations = jnp.where(arrived, now.iterations, step + 1)
        return step + 1, Basins(target, iterations, end), memory

    start = Basins(reached(starts), jnp.zeros(starts.shape[0], int), starts)
    memory = jax.vmap(optimizer.init)(starts)
    return jax.lax.while_loop(go_on, advance, (jnp.asarray(0), start, memory))[1]
