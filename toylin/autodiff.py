"""The inner and outer loss by automatic differentiation: ``jax.grad`` inside, for any data.

The second of the two routes; ``closed_form`` exports the same five functions. Nothing here knows a
formula: the inner loop differentiates the loss of the data, and outer gradients differentiate
through the loop.
"""

from __future__ import annotations

from math import isqrt

import jax
from jaxtyping import Array, Float

from toylin import _checks
from toylin._inputs import Tasks, as_batch, check_support
from toylin.data import Batch, Data, mean_loss
from toylin.model import Params
from toylin.rules import MAML


def inner_loss(params: Params, support: Data) -> Float[Array, ""]:
    """The loss of one task's data (half mean squared error, or mean logistic loss).

    Args:
        params: (W_1, ..., W_L), W_l of shape (d_l, d_{l-1}), one output.
        support: one task's points or moments, without a task axis.

    Raises:
        ValueError: ``params`` do not chain or do not take the data's dimension.
    """
    check_support(params, support)
    return support.loss(params)


def inner_grad(params: Params, support: Data) -> Params:
    """The gradient of ``inner_loss`` with respect to every layer, by reverse mode."""
    return jax.grad(inner_loss)(params, support)


def adapt(params: Params, support: Data, rule: MAML, *, remat: bool = False) -> Params:
    """The parameters after ``rule.steps`` inner steps on one task.

    Args:
        params: the start, (W_1, ..., W_L).
        support: one task's points or moments, without a task axis.
        rule: the adaptation rule.
        remat: recompute inner steps in the backward pass instead of storing them. The memory of an
            outer gradient then grows like the square root of the number of steps.

    Returns:
        Adapted parameters, of the structure of ``params``.
    """
    check_support(params, support)
    _checks.instance("rule", rule, MAML)

    def step(weights: Params, _: None) -> tuple[Params, None]:
        grads = jax.grad(inner_loss)(weights, support)
        if rule.first_order:
            grads = jax.lax.stop_gradient(grads)
        return jax.tree.map(lambda w, u: w - u, weights, rule.update(grads)), None

    def steps(weights: Params, length: int) -> Params:
        return jax.lax.scan(step, weights, length=length, unroll=length <= 2)[0]

    params = tuple(params)
    if not remat:
        return steps(params, rule.steps)
    segment = max(1, isqrt(rule.steps))
    step = jax.checkpoint(step)

    @jax.checkpoint
    def segments(weights: Params, _: None) -> tuple[Params, None]:
        return steps(weights, segment), None

    params = jax.lax.scan(segments, params, length=rule.steps // segment)[0]
    return steps(params, rule.steps % segment)


def task_losses(
    params: Params, tasks: Tasks | Batch, rule: MAML, *, remat: bool = False
) -> Float[Array, " tasks"]:
    """Every task's query loss after adaptation: what ``outer_loss`` is the mean of."""
    batch = as_batch(params, tasks, rule)

    def one(support: Data, query: Data) -> Float[Array, ""]:
        return query.loss(adapt(params, support, rule, remat=remat))

    return jax.vmap(one)(batch.support, batch.query)


def outer_loss(
    params: Params, tasks: Tasks | Batch, rule: MAML, *, remat: bool = False
) -> Float[Array, ""]:
    """The mean query loss after adaptation.

    Args:
        params: the start that all tasks share, (W_1, ..., W_L).
        tasks: sampled tasks (``tasks.sample(...)``), whose mean is an estimate; or a distribution
            that has exact quadrature nodes (see ``quadrature_batch``), whose mean is exact.
        rule: the adaptation rule.
        remat: as for ``adapt``.

    Raises:
        ValueError: shapes that disagree, or too many nodes.
        NoClosedFormError: a distribution without exact nodes; sample from it instead.
    """
    batch = as_batch(params, tasks, rule)
    return mean_loss(task_losses(params, batch, rule, remat=remat), batch)


def outer_grad(params: Params, tasks: Tasks | Batch, rule: MAML, *, remat: bool = False) -> Params:
    """The gradient of ``outer_loss`` with respect to ``params``, through the inner loop."""
    return jax.grad(outer_loss)(params, tasks, rule, remat=remat)
