"""Meta-training: any outer loss, any optax optimizer, one compiled loop."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from toylin._internal import checks
from toylin._internal.memory import check_fits
from toylin._internal.pytree import pytree_dataclass, static_field
from toylin._internal.shapes import Array, Float, Int, PRNGKeyArray
from toylin._internal.tracing import has_tracers
from toylin.training._drawing import in_parts, takes_key
from toylin.training._drive import all_finite, drive
from toylin.training._loop import Carry, Loop, num_records
from toylin.training._optimizer import check_optimizer
from toylin.training._pictures import plot


@pytree_dataclass
class Run:
    """What ``meta_train`` returns.

    Attributes:
        params: the meta-trained parameters.
        loss: shape (records,): the loss at every recorded iteration, *before* its update.
        grad_norm: shape (records,): the Euclidean norm of the gradient there.
        iteration: shape (records,): which iterations are recorded.
        trajectory: with ``trajectory=True``, the parameters at every recorded iteration before its
            update, each leaf with a leading axis of records; else None.
        diverged_at: the first iteration whose loss or gradient is not finite, ``num_steps`` where
            only the last update is not; NaN where all is, as in a sweep.
        interrupted: whether Ctrl-C ended the run early.
    """

    params: Any
    loss: Float[Array, " records"]
    grad_norm: Float[Array, " records"]
    iteration: Int[np.ndarray, " records"]
    trajectory: Any = None
    diverged_at: Any = float("nan")
    interrupted: bool = static_field(default=False)

    plot = plot


def meta_train(
    loss: Callable[..., Array],
    params: Any,
    optimizer: Any,
    num_steps: int,
    key: PRNGKeyArray | None = None,
    *,
    record_every: int = 1,
    trajectory: bool = False,
    progress: bool = False,
) -> Run:
    """Minimise an outer loss by gradient descent with an optax optimizer.

    The run is one compiled loop, which can be transformed: mapped by ``jax.vmap`` over starts, keys
    and the leaves of the loss, differentiated, put in ``jit``. A loss that is a pytree
    (``ExactLoss``, ``SampledLoss``, ``BatchLoss``) compiles once for all values of its leaves, and
    equal optimizers compile once. Called directly, it goes in pieces of less than a second: the
    numbers are those of one piece, bit for bit, and Ctrl-C returns what was done so far.

    Args:
        loss: ``loss(params)`` or, where it samples, ``loss(params, key)``. One that has
            ``draw(key)`` and ``on(params, drawn)`` draws for many iterations at once, which is
            cheaper.
        params: any pytree of floats that the loss takes: a tuple of matrices, or, with ``joint``, a
            pair (params, rule).
        optimizer: an ``optax.GradientTransformation``.
        num_steps: the number of meta-iterations.
        key: a JAX random key; needed where the loss samples. Iteration i has the key
            ``jax.random.fold_in(key, i)``.
        record_every: meta-iterations between records, of which the first is iteration 0.
        trajectory: also record the parameters.
        progress: show iterations done, rate and time left.

    Returns:
        A ``Run``.

    Raises:
        ValueError: ``loss`` takes a key and none is given, it is no function of one or two
            arguments, ``num_steps`` or ``record_every`` is no positive integer, ``params`` holds
            something else than real floats, or ``optimizer`` is none.

    >>> import optax, toylin as tl
    >>> loss = tl.ExactLoss(tl.LinearRegression(), tl.MAML(step_size=0.1))
    >>> start = (jnp.full((1, 1), 0.7), jnp.full((1, 1), -0.9))
    >>> run = tl.meta_train(loss, start, optax.adam(0.1), num_steps=300)
    >>> print(f"{run.loss[0]:.3f} -> {run.loss[-1]:.3f}")
    0.540 -> 0.000
    """
    keyed = takes_key(loss)
    checks.integer("num_steps", num_steps, minimum=1)
    checks.integer("record_every", record_every, minimum=1)
    checks.flag("trajectory", trajectory)
    checks.flag("progress", progress)
    check_optimizer(optimizer)
    _check_floats(params)
    if keyed and key is None:
        raise ValueError("key must be a JAX random key, since the loss samples; got None")
    if key is not None:
        checks.key("key", key)
    loop = Loop(optimizer, int(num_steps), int(record_every), bool(trajectory))
    _check_records(loop, params)
    parts = in_parts(loss, params)
    carry, done = drive(loop, parts, params, key if keyed else None, progress=progress)
    if done < num_steps:
        warnings.warn(
            f"interrupted: {done:,} of {num_steps:,} meta-iterations were done", stacklevel=2
        )
    return _finish(loop, carry, done)


def _check_records(loop: Loop, params: Any) -> None:
    assert loop.record_every is not None
    leaves = jax.tree.leaves(params)
    records = num_records(loop.num_steps, loop.record_every)
    path = sum(np.size(leaf) for leaf in leaves) if loop.trajectory else 0
    what = f"recording {records} iterations (num_steps={loop.num_steps}, record_every="
    what += f"{loop.record_every}, trajectory={loop.trajectory})"
    check_fits(what, records * (2 + path), jnp.result_type(*leaves))


def _check_floats(params: Any) -> None:
    leaves = jax.tree.leaves(params)
    for leaf in leaves:
        try:
            real = jax.dtypes.issubdtype(jnp.result_type(leaf), np.floating)
        except TypeError:
            real = False
        if not real:
            raise ValueError(f"params must hold arrays of floats, got {leaf!r}")
    if not leaves:
        raise ValueError(f"params must hold at least one array, got {params!r}")


def _finish(loop: Loop, carry: Carry, done: int) -> Run:
    assert loop.record_every is not None
    rows = num_records(done, loop.record_every)

    def first_rows(buffer: Array) -> Array:
        return buffer if len(buffer) == rows else buffer[:rows]

    return Run(
        params=carry.params,
        loss=first_rows(carry.loss),
        grad_norm=first_rows(carry.grad_norm),
        iteration=np.arange(rows) * loop.record_every,
        trajectory=jax.tree.map(first_rows, carry.trajectory),
        diverged_at=_diverged_at(loop, carry, done),
        interrupted=done < loop.num_steps,
    )


def _diverged_at(loop: Loop, carry: Carry, done: int) -> Any:
    at = carry.diverged_at
    if not has_tracers(at, carry.params):
        if at < loop.num_steps:
            return float(at)
        return float("nan") if all_finite(carry.params) else float(done)
    finite = jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(carry.params)])
    at = at.astype(jnp.result_type(float))
    return jnp.where((at < loop.num_steps) | ~jnp.all(finite), at, jnp.nan)
