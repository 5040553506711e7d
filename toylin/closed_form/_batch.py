"""The outer loss of a batch of tasks or nodes, by formulas for each.

``each`` is a module that knows one task's formulas: ``_layers`` for any linear model, ``_scalar``
for products of numbers, where it is several times faster.
"""

from __future__ import annotations

from types import ModuleType

import jax

from toylin._internal.shapes import Array, Float
from toylin.closed_form import _layers, _scalar
from toylin.closed_form._inner import differentiable, has_formulas
from toylin.models import Params, is_scalar
from toylin.rules import Rule
from toylin.tasks import Batch, weighted_mean


def serves(batch: Batch) -> bool:
    """Whether supports and queries are data that there are formulas for."""
    return has_formulas(batch.support) and has_formulas(batch.query)


def is_elementwise(params: Params, batch: Batch) -> bool:
    """Whether ``_scalar`` serves the batch: regression of products of numbers."""
    kinds = {data.kind for data in (batch.support, batch.query)}  # type: ignore[attr-defined]
    return is_scalar(params) and kinds == {"regression"}


def task_losses(
    each: ModuleType, params: Params, batch: Batch, rule: Rule, remat: bool
) -> Float[Array, " tasks"]:
    """Every task's query loss after adaptation."""
    support, query = (jax.vmap(differentiable)(data) for data in (batch.support, batch.query))
    losses: Array = each.task_losses(params, support, query, rule, remat)
    return losses


def outer_loss(
    each: ModuleType, params: Params, batch: Batch, rule: Rule, remat: bool
) -> Float[Array, ""]:
    """The mean query loss after adaptation."""
    return weighted_mean(task_losses(each, params, batch, rule, remat), batch)


def outer_value_and_grad(
    each: ModuleType, params: Params, batch: Batch, rule: Rule, remat: bool
) -> tuple[Float[Array, ""], Params]:
    """The mean query loss and its gradient, in one pass through the inner loop."""
    support, query = (jax.vmap(differentiable)(data) for data in (batch.support, batch.query))
    losses, grads = each.losses_and_grads(params, support, query, rule, remat)
    return weighted_mean(losses, batch), tuple(weighted_mean(g, batch) for g in grads)


def loss_by_layers(params: Params, batch: Batch, rule: Rule) -> Float[Array, ""]:
    """``outer_loss`` for any linear model."""
    return outer_loss(_layers, params, batch, rule, remat=False)


def value_and_grad_by_layers(
    params: Params, batch: Batch, rule: Rule
) -> tuple[Float[Array, ""], Params]:
    """It and its gradient."""
    return outer_value_and_grad(_layers, params, batch, rule, remat=False)


def module_for(params: Params, batch: Batch) -> ModuleType:
    """The faster of the modules that serve the batch."""
    return _scalar if is_elementwise(params, batch) else _layers
