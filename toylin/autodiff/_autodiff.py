"""The inner and outer loss by automatic differentiation: ``jax.grad`` inside, for any data.

The second of the two routes; ``closed_form`` exports the same five functions. Nothing here knows a
formula: the inner loop differentiates the loss of the data, and outer gradients differentiate
through the loop.
"""

from __future__ import annotations

from math import isqrt

import jax

from toylin._internal.compiled import compiled
from toylin._internal.shapes import Array, Float
from toylin.models import Params
from toylin.rules import Rule, Tasks, as_batch, check_rule, check_support
from toylin.rules._base import subtract
from toylin.tasks import Batch, Data, mean_loss


@compiled()
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


@compiled()
def inner_grad(params: Params, support: Data) -> Params:
    """The gradient of ``inner_loss`` with respect to every layer, by reverse mode."""
    return jax.grad(inner_loss)(params, support)


@compiled("remat")
def adapt(params: Params, support: Data, rule: Rule, *, remat: bool = False) -> Params:
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
    check_rule(rule, params)
    Carry = tuple[Params, Rule]

    def step(carry: Carry, _: None) -> tuple[Carry, None]:
        weights, rule = carry
        grads = jax.grad(inner_loss)(weights, support)
        if rule.first_order:
            grads = jax.lax.stop_gradient(grads)
        moved = subtract(weights, rule.update(grads))
        return (moved, rule.next(weights, grads, support.loss)), None

    def steps(carry: Carry, length: int) -> Carry:
        return jax.lax.scan(step, carry, length=length, unroll=length <= 2)[0]

    carry = (tuple(params), rule)
    if not remat:
        return steps(carry, rule.steps)[0]
    segment = max(1, isqrt(rule.steps))
    step = jax.checkpoint(step)

    @jax.checkpoint
    def segments(carry: Carry, _: None) -> tuple[Carry, None]:
        return steps(carry, segment), None

    carry = jax.lax.scan(segments, carry, length=rule.steps // segment)[0]
    return steps(carry, rule.steps % segment)[0]


@compiled("remat")
def task_losses(
    params: Params, tasks: Tasks | Batch, rule: Rule, *, remat: bool = False
) -> Float[Array, " tasks"]:
    """Every task's query loss after adaptation: what ``outer_loss`` is the mean of."""
    batch = as_batch(params, tasks, rule)

    def one(support: Data, query: Data) -> Float[Array, ""]:
        adapted = adapt(params, support, rule, remat=remat)
        return rule.outer_value(params, adapted, query.loss)

    return jax.vmap(one)(batch.support, batch.query)


@compiled("remat")
def outer_loss(
    params: Params, tasks: Tasks | Batch, rule: Rule, *, remat: bool = False
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


@compiled("remat")
def outer_grad(params: Params, tasks: Tasks | Batch, rule: Rule, *, remat: bool = False) -> Params:
    """The gradient of ``outer_loss`` with respect to ``params``, through the inner loop.

    It is the direction in which the rule learns: that of a first-order rule, or of ``Reptile``, is
    no gradient of the loss.
    """
    return jax.grad(outer_loss)(params, tasks, rule, remat=remat)
