"""Binary classification in the population: the outer loss as a two-dimensional quadrature.

With x_cov = c I and layers of width one above the input, gradients of the first layer u lie in the
span of u and the class mean m. So the adapted loss meets m = tau (z e + r e') in two numbers: its
component z ~ N(0, 1) along u, and the norm r of the rest, r² / 2 ~ Gamma((d - 1) / 2, 1). The same
problem in two dimensions, e and e' being the axes, has the same loss.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from toylin._internal.errors import NoClosedFormError
from toylin._internal.shapes import Array, Bool, Float, Int
from toylin.models import Params
from toylin.quadrature import gauss_gamma
from toylin.rules import MAML, Rule, check_problem
from toylin.tasks import Batch, BinaryClassification

Operands = tuple[Params, BinaryClassification, MAML]
OnBatch = Callable[[Params, Batch, Rule], Any]

# Levels as (nodes of half the z axis, nodes of r). In z the trapezoidal rule: for a function
# analytic within distance a of the real line its error falls like exp(-2 pi a / step), where
# Gauss-Hermite needs four times the nodes for half the distance. In r, which is smoother,
# generalised Gauss-Laguerre.
_REACH = 10.0
_LEVELS = ((20, 10), (40, 20), (80, 30), (160, 45), (320, 64), (640, 64))
_TOLERANCE = 1e-10
_BLOCK = 256


def _check(params: Params, tasks: BinaryClassification, rule: Rule) -> MAML:
    check_problem(params, tasks, rule)
    widths = (tasks.dim, *(w.shape[0] for w in params))
    narrow = all(w == 1 for w in widths[1:])
    if isinstance(rule, MAML) and tasks.shots is None and np.ndim(tasks.x_cov) == 0 and narrow:
        return rule
    cov = "a number" if np.ndim(tasks.x_cov) == 0 else "a matrix"
    raise NoClosedFormError(
        "the outer loss of BinaryClassification has a closed form in the population (shots=None), "
        "for x_cov a number, every width above the input 1 and MAML; got "
        f"shots={tasks.shots}, x_cov {cov}, widths={widths} and {type(rule).__name__}. "
        "toylin.estimate(params, tasks, rule, key, num_tasks) averages the exact inner loop over "
        "sampled tasks and returns a standard error"
    )


@cache
def _nodes(dim: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The rules of all levels.

    Blocks of (z, r, log weight), the first block and the number of blocks of each level. The last
    block of a level is filled up with nodes of weight zero.
    """
    blocks: list[np.ndarray] = []
    first, count = [], []
    for half, in_r in _LEVELS:
        z = np.arange(-half, half + 1) * (_REACH / half)
        z_weight = np.log(_REACH / half) - z**2 / 2 - np.log(2 * np.pi) / 2
        z_weight -= np.log(np.sum(np.exp(z_weight)))
        g, g_weight = (np.zeros(1), np.zeros(1)) if dim == 1 else gauss_gamma(in_r, (dim - 1) / 2)
        z_grid, g_grid = (a.ravel() for a in np.meshgrid(z, g))
        level = np.stack([z_grid, np.sqrt(2 * g_grid), np.add.outer(g_weight, z_weight).ravel()])
        filling = np.tile([[0.0], [1.0], [-np.inf]], -level.shape[1] % _BLOCK)
        first.append(len(blocks))
        blocks += np.split(np.hstack([level, filling]), range(_BLOCK, level.shape[1], _BLOCK), 1)
        count.append(len(blocks) - first[-1])
    return np.array(blocks), np.array(first), np.array(count)


def _reduce(params: Params) -> tuple[Params, Array]:
    """The model of the two-dimensional problem, and the direction of the first layer."""
    u = params[0]
    square = jnp.sum(u**2)
    zero = square == 0
    norm = jnp.where(zero, 0.0, jnp.sqrt(jnp.where(zero, 1.0, square)))
    axis = jnp.zeros((1, min(2, u.shape[1])), u.dtype).at[0, 0].set(norm)
    return (axis, *params[1:]), u / jnp.where(zero, 1.0, norm)


def _batch(nodes: Array, tasks: BinaryClassification) -> Batch:
    z, r, log_weight = nodes
    mean = tasks.mean_std * jnp.stack([z, r], axis=1)[:, : min(2, tasks.dim)]
    cov = jnp.asarray(tasks.x_cov, mean.dtype)
    data = BinaryClassification(dim=mean.shape[1], x_cov=cov).population(mean)
    return Batch(data, data, mean, log_weight)


@partial(jax.jit, static_argnames="on_batch")
def _sum(operands: Operands, level: Int[Array, ""], on_batch: OnBatch) -> Any:
    """What ``on_batch`` makes of the nodes of a level, block by block.

    One program for all levels, of bounded memory, that differentiates in both modes.
    """
    params, tasks, rule = operands
    blocks, first, count = (jnp.asarray(a) for a in _nodes(tasks.dim))
    blocks = blocks.astype(params[0].dtype)

    def on_block(block: Int[Array, ""]) -> Any:
        return on_batch(params, _batch(blocks[first[level] + block], tasks), rule)

    empty = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(on_block, count[0]))

    def add(total: Any, block: Int[Array, ""]) -> tuple[Any, None]:
        here = jax.lax.cond(block < count[level], on_block, lambda _: empty, block)
        return jax.tree.map(jnp.add, total, here), None

    return jax.lax.scan(add, empty, jnp.arange(_nodes(tasks.dim)[2].max()))[0]


@partial(jax.jit, static_argnames="loss_on")
def _find_level(operands: Operands, loss_on: OnBatch) -> tuple[Int[Array, ""], Bool[Array, ""]]:
    """The first level that agrees with the one before it, and whether there was one."""
    dtype = operands[0][0].dtype
    tolerance = max(_TOLERANCE, 100 * float(jnp.finfo(dtype).eps))

    def agree(state: tuple[Array, Array, Array]) -> Array:
        _, before, now = state
        return jnp.abs(now - before) <= tolerance * jnp.abs(now)

    def go_on(state: tuple[Array, Array, Array]) -> Array:
        return (state[0] < len(_LEVELS) - 1) & ~agree(state)

    def finer(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        level, _, now = state
        return level + 1, now, _sum(operands, level + 1, loss_on)

    start = (jnp.asarray(-1), jnp.ones((), dtype), jnp.zeros((), dtype))  # which disagree
    end = jax.lax.while_loop(go_on, finer, start)
    return end[0], agree(end)


def _integrate(
    params: Params, tasks: BinaryClassification, rule: MAML, loss: OnBatch, what: OnBatch
) -> Any:
    """Integrate ``what`` over the tasks by the rule that suffices for the loss."""
    operands = (params, tasks, rule)
    level, converged = _find_level(jax.lax.stop_gradient(operands), loss)
    if not isinstance(converged, jax.core.Tracer) and not converged:
        raise ValueError(
            f"the quadrature has not converged to {_TOLERANCE:g} with {_LEVELS[-1][0] * 2 + 1} x "
            f"{_LEVELS[-1][1]} nodes at mean_std={tasks.mean_std!r}, x_cov={tasks.x_cov!r}, "
            f"step_size={rule.step_size!r} and |W_1|={float(params[0][0, 0]):g}; "
            "toylin.estimate(params, tasks, rule, key, num_tasks) serves it"
        )
    return _sum(operands, level, what)


def outer_loss(
    params: Params, tasks: BinaryClassification, rule: Rule, loss_on: OnBatch
) -> Float[Array, ""]:
    """The expected query loss after adaptation, to a relative 1e-10 (more in single precision).

    The number of nodes doubles until two levels agree. Where they never do, concrete arguments
    raise; under a transformation, where values are not known, the finest level answers.
    """
    rule = _check(params, tasks, rule)
    small, _ = _reduce(tuple(params))
    return _integrate(small, tasks, rule, loss_on, loss_on)


def outer_grad(
    params: Params, tasks: BinaryClassification, rule: Rule, loss_on: OnBatch, grad_on: OnBatch
) -> Params:
    """The gradient of ``outer_loss``. By symmetry, that of the first layer lies along it."""
    rule = _check(params, tasks, rule)
    small, direction = _reduce(tuple(params))
    first, *rest = _integrate(small, tasks, rule, loss_on, grad_on)
    return (first[0, 0] * direction, *rest)
