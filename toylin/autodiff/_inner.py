"""The inner problem by automatic differentiation: loss, gradient and adaptation on one task."""

from __future__ import annotations

from typing import Any

import jax

from toylin._internal.compiled import compiled
from toylin._internal.shapes import Array, Float
from toylin.models import Model, predict
from toylin.rules import Rule, check_rule, check_support
from toylin.tasks import Data, Minibatches


@compiled("model")
def inner_loss(params: Any, support: Data, model: Model = predict) -> Float[Array, ""]:
    """The loss of one task's data (half mean squared error, or mean logistic loss).

    Args:
        params: the parameters, (W_1, ..., W_L) of the deep linear model or any pytree that
            ``model`` takes.
        support: one task's points or moments, without a task axis, or anything with
            ``loss(params, model)``.
        model: the model, a function ``model(params, x)``.

    Raises:
        ValueError: ``params`` do not chain or do not take the data's dimension.
    """
    check_support(params, support, model)
    return support.loss(params, model)


@compiled("model")
def inner_grad(params: Any, support: Data, model: Model = predict) -> Any:
    """The gradient of ``inner_loss`` with respect to every layer, by reverse mode.

    Args:
        params: as for ``inner_loss``.
        support: as for ``inner_loss``.
        model: as for ``inner_loss``.
    """
    check_support(params, support, model)
    return jax.grad(support.loss)(params, model)


@compiled("model", "remat")
def adapt(
    params: Any, support: Data, rule: Rule, model: Model = predict, *, remat: bool = False
) -> Any:
    """The parameters after ``rule.steps`` inner steps on one task.

    Args:
        params: the start, as for ``inner_loss``.
        support: one task's points or moments, without a task axis; ``Minibatches`` of them, one a
            step, where every step sees its own.
        rule: the adaptation rule.
        model: the model, a function ``model(params, x)``.
        remat: recompute inner steps in the backward pass instead of storing them. The memory of an
            outer gradient then grows like the square root of the number of steps.

    Returns:
        Adapted parameters, of the structure of ``params``.
    """
    check_support(params, support, model)
    check_rule(rule, params)
    return descend(params, support, rule, model, remat)


def descend(params: Any, support: Data, rule: Rule, model: Model, remat: bool) -> Any:
    """``adapt`` without its checks."""
    weights = tuple(params) if isinstance(params, list) else params
    weights = jax.tree.map(jax.numpy.asarray, weights)
    if isinstance(support, Minibatches):
        return _descend_in_parts(weights, support, rule, model, remat)
    return rule.adapt(weights, lambda w: support.loss(w, model), remat)


def _descend_in_parts(
    params: Any, support: Minibatches, rule: Rule, model: Model, remat: bool
) -> Any:
    """A step on every part in turn."""
    parts = jax.tree.leaves(support)[0].shape[0]
    if parts != rule.steps:
        raise ValueError(
            f"rule must take a step for each of the {parts} minibatches of support, "
            f"got steps={rule.steps}"
        )

    def step(carry: tuple[Any, Rule], part: Data) -> tuple[tuple[Any, Rule], None]:
        weights, rule = carry
        return rule.step(weights, lambda w: part.loss(w, model)), None

    if remat:
        step = jax.checkpoint(step)
    return jax.lax.scan(step, (params, rule), support.parts)[0][0]
