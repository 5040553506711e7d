"""The outer problem by automatic differentiation, through the inner loop."""

from __future__ import annotations

from typing import Any

import jax

from toylin._internal.compiled import compiled
from toylin._internal.shapes import Array, Float
from toylin.autodiff import _span
from toylin.autodiff._inner import descend
from toylin.models import Model, predict
from toylin.rules import Rule, as_batch
from toylin.tasks import Batch, Data, TaskLaw, mean_loss


@compiled("model", "remat")
def task_losses(
    params: Any,
    tasks: TaskLaw | Batch,
    rule: Rule,
    model: Model = predict,
    *,
    remat: bool = False,
) -> Float[Array, " tasks"]:
    """Every task's query loss after adaptation: what ``outer_loss`` is the mean of.

    Args:
        params: as for ``outer_loss``.
        tasks: as for ``outer_loss``.
        rule: as for ``outer_loss``.
        model: as for ``outer_loss``.
        remat: as for ``outer_loss``.
    """
    return _losses(params, as_batch(params, tasks, rule, model), rule, model, remat)


@compiled("model", "remat")
def outer_loss(
    params: Any,
    tasks: TaskLaw | Batch,
    rule: Rule,
    model: Model = predict,
    *,
    remat: bool = False,
) -> Float[Array, ""]:
    """The mean query loss after adaptation.

    Args:
        params: the start that all tasks share: (W_1, ..., W_L) of the deep linear model, or any
            pytree that ``model`` takes.
        tasks: sampled tasks (``tasks.sample(...)``), whose mean is an estimate; or a law of tasks
            that has exact quadrature nodes (see ``quadrature_batch``), whose mean is exact.
        rule: the adaptation rule.
        model: the model, a function ``model(params, x)``.
        remat: as for ``adapt``.

    Raises:
        ValueError: shapes that disagree, or too many nodes.
        NoClosedFormError: a law of tasks without exact nodes; sample from it instead.

    >>> import jax.numpy as jnp, toylin as tl
    >>> params, rule = (jnp.zeros((1, 1)), jnp.full((1, 1), 2.0)), tl.MAML(step_size=0.1)
    >>> tasks = tl.LinearRegression(shots=5)
    >>> sampled = tl.autodiff.outer_loss(params, tasks.sample(jax.random.key(0), 10_000), rule)
    >>> exact = tl.closed_form.outer_loss(params, tasks, rule)
    >>> bool(abs(sampled / exact - 1) < 0.1)
    True
    """
    return mean_over(params, as_batch(params, tasks, rule, model), rule, model, remat)


@compiled("model", "remat")
def outer_grad(
    params: Any,
    tasks: TaskLaw | Batch,
    rule: Rule,
    model: Model = predict,
    *,
    remat: bool = False,
) -> Any:
    """The gradient of ``outer_loss`` with respect to ``params``, through the inner loop.

    It is the direction in which the rule learns: that of a first-order rule, or of ``Reptile``, is
    no gradient of the loss.

    Args:
        params: as for ``outer_loss``.
        tasks: as for ``outer_loss``.
        rule: as for ``outer_loss``.
        model: as for ``outer_loss``.
        remat: as for ``outer_loss``.
    """
    batch = as_batch(params, tasks, rule, model)
    return jax.grad(mean_over)(params, batch, rule, model, remat)


@compiled("model", "remat")
def outer_value_and_grad(
    params: Any,
    tasks: TaskLaw | Batch,
    rule: Rule,
    model: Model = predict,
    *,
    remat: bool = False,
) -> tuple[Float[Array, ""], Any]:
    """``outer_loss`` and ``outer_grad`` in one pass.

    Args:
        params: as for ``outer_loss``.
        tasks: as for ``outer_loss``.
        rule: as for ``outer_loss``.
        model: as for ``outer_loss``.
        remat: as for ``outer_loss``.
    """
    batch = as_batch(params, tasks, rule, model)
    return jax.value_and_grad(mean_over)(params, batch, rule, model, remat)


def mean_over(
    params: Any, batch: Batch, rule: Rule, model: Model = predict, remat: bool = False
) -> Float[Array, ""]:
    """``outer_loss`` of a batch, without its checks: for losses that drew the batch themselves."""
    return mean_loss(_losses(params, batch, rule, model, remat), batch, (params, rule))


def _losses(params: Any, batch: Batch, rule: Rule, model: Model, remat: bool) -> Array:
    if not remat and _span.serves(params, batch, rule, model):
        return _span.task_losses(params, batch, rule)

    def one(support: Data, query: Data) -> Float[Array, ""]:
        adapted = descend(params, support, rule, model, remat)
        return rule.outer_value(params, adapted, lambda w: query.loss(w, model))

    return jax.vmap(one)(batch.support, batch.query)
