"""Meta-training: any outer loss, any optax optimizer, one compiled scan."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from toylin._internal import checks
from toylin._internal.batching import mapped_size
from toylin._internal.pytree import pytree_dataclass, static_field
from toylin._internal.shapes import Array, Float, PRNGKeyArray
from toylin.training._joint import JointSampledLoss
from toylin.training._losses import SampledLoss

# Tasks are drawn for this many iterations at once (over all runs that are mapped together): one
# vectorised draw costs far less than as many small ones, and this much stays in the cache.
_DRAW_AHEAD = 100


class Run(NamedTuple):
    """What ``meta_train`` returns.

    Attributes:
        params: the meta-trained parameters.
        loss: shape (num_steps,): the loss at every iteration, *before* its update.
        trajectory: with ``trajectory=True``, the parameters at every iteration before its update,
            each leaf with a leading axis of ``num_steps``; else None.
    """

    params: Any
    loss: Float[Array, " steps"]
    trajectory: Any = None


@pytree_dataclass
class _Function:
    """A plain function as a pytree without leaves."""

    call: Callable[..., Array] = static_field()
    keyed: bool = static_field(default=False)

    def __call__(self, *args: Any) -> Array:
        return self.call(*args)


def _takes_key(loss: Callable[..., Array]) -> bool:
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


def meta_train(
    loss: Callable[..., Array],
    params: Any,
    optimizer: Any,
    num_steps: int,
    key: PRNGKeyArray | None = None,
    *,
    trajectory: bool = False,
) -> Run:
    """Minimise an outer loss by gradient descent with an optax optimizer.

    The whole run is one ``lax.scan``: nothing returns to Python between iterations, and it can be
    mapped by ``jax.vmap`` over starts, keys and the leaves of the loss. A loss that is a pytree
    (``ExactLoss``, ``SampledLoss``, ``BatchLoss``) compiles once for all values of its leaves.

    Args:
        loss: ``loss(params)`` or, where it samples, ``loss(params, key)``.
        params: any pytree that the loss takes: a tuple of matrices, or, with ``joint``, a pair
            (params, rule).
        optimizer: an ``optax.GradientTransformation``.
        num_steps: the number of meta-iterations.
        key: a JAX random key; needed where the loss takes one, and split over the iterations.
        trajectory: also return the parameters at every iteration.

    Returns:
        A ``Run``.

    Raises:
        ValueError: ``loss`` takes a key and none is given, it is no function of one or two
            arguments, ``num_steps`` is no positive integer, or ``optimizer`` is none.

    >>> import optax, toylin as tl
    >>> loss = tl.ExactLoss(tl.LinearRegression(), tl.MAML(step_size=0.1))
    >>> start = (jnp.full((1, 1), 0.7), jnp.full((1, 1), -0.9))
    >>> run = tl.meta_train(loss, start, optax.adam(0.1), num_steps=300)
    >>> print(f"{run.loss[0]:.3f} -> {run.loss[-1]:.3f}")
    0.540 -> 0.000
    """
    if not callable(loss):
        raise ValueError(f"loss must be a function, got {loss!r}")
    checks.integer("num_steps", num_steps, minimum=1)
    if not (hasattr(optimizer, "init") and hasattr(optimizer, "update")):
        raise ValueError(f"optimizer must be an optax.GradientTransformation, got {optimizer!r}")
    keyed = _takes_key(loss)
    if keyed and key is None:
        raise ValueError("key must be a JAX random key, since the loss samples; got None")
    if jax.tree_util.all_leaves([loss]):
        loss = _Function(loss)
    keys = jax.random.split(key, num_steps) if keyed and key is not None else None
    ahead = max(1, _DRAW_AHEAD // mapped_size((loss, params, keys)))
    return _train(loss, params, keys, optimizer, num_steps, trajectory, ahead)


@partial(jax.jit, static_argnames=("optimizer", "num_steps", "trajectory", "most_ahead"))
def _train(
    loss: Any,
    params: Any,
    keys: Any,
    optimizer: Any,
    num_steps: int,
    trajectory: bool,
    most_ahead: int,
) -> Run:
    draws_ahead = isinstance(loss, SampledLoss | JointSampledLoss)

    def value(params: Any, draw: Any) -> Array:
        if draws_ahead:
            return loss.on(params, draw)
        return loss(params) if draw is None else loss(params, draw)

    def step(carry: tuple[Any, Any], draw: Any) -> tuple[tuple[Any, Any], Any]:
        params, state = carry
        loss_now, grads = jax.value_and_grad(value)(params, draw)
        updates, state = optimizer.update(grads, state, params)
        moved = jax.tree.map(lambda p, u: (p + u).astype(p.dtype), params, updates)
        return (moved, state), (loss_now, params if trajectory else None)

    def block(carry: tuple[Any, Any], keys: Any) -> tuple[tuple[Any, Any], Any]:
        dtype = jax.tree.leaves(params)[0].dtype
        draws = jax.vmap(lambda k: loss.draw(k, dtype))(keys) if draws_ahead else keys
        return jax.lax.scan(step, carry, draws, length=None if keys is not None else num_steps)

    params = jax.tree.map(jnp.asarray, params)
    carry = (params, optimizer.init(params))
    if not draws_ahead or num_steps <= most_ahead:
        (final, _), (losses, path) = block(carry, keys)
        return Run(final, losses, path)
    ahead = next(n for n in range(most_ahead, 0, -1) if num_steps % n == 0)
    if ahead < most_ahead // 4:  # no divisor of a useful size: a shorter last block
        ahead = most_ahead
    whole = num_steps - num_steps % ahead
    carry, outs = jax.lax.scan(block, carry, keys[:whole].reshape(-1, ahead))
    outs = jax.tree.map(lambda x: x.reshape(whole, *x.shape[2:]), outs)
    if whole < num_steps:
        carry, rest = block(carry, keys[whole:])
        outs = jax.tree.map(lambda x, y: jnp.concatenate([x, y]), outs, rest)
    return Run(carry[0], *outs)
