"""The inner problem by formula: loss, gradient and adaptation on one task's data."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from toylin._internal import checks
from toylin._internal.compiled import compiled
from toylin._internal.errors import NoClosedFormError
from toylin._internal.shapes import Array, Float
from toylin.closed_form import _layers
from toylin.closed_form._end_to_end import Differentiable
from toylin.models import Model, Params, predict
from toylin.rules import Rule, check_linear, check_rule, check_support
from toylin.tasks import Data, RegressionPoints


def check_linear_model(model: Model) -> None:
    """Refuse other models than the deep linear one."""
    checks.function("model", model, "model(params, x)")
    if model is not predict:
        raise NoClosedFormError(
            "closed forms serve the deep linear model, toylin.predict, not "
            f"{getattr(model, '__name__', model)!s}; the function of the same name in "
            "toylin.autodiff serves any model"
        )


def has_formulas(data: Data) -> bool:
    """Whether ``differentiable`` takes the data, of one task or of many."""
    return isinstance(data, RegressionPoints | Differentiable)


def refuse_data(name: str, data: Data) -> None:
    """Raise a NoClosedFormError unless ``has_formulas``."""
    if not has_formulas(data):
        raise NoClosedFormError(
            f"closed forms serve regression and binary tasks, as points or moments, and points of "
            f"classes; {name} is {data!r}. The function of the same name in toylin.autodiff serves "
            "any data"
        )


def differentiable(data: Data) -> Differentiable:
    """Data in a form with formulas for the derivatives of their loss.

    Regression points become their moments (about zero).
    """
    if isinstance(data, RegressionPoints):
        return data.moments(jnp.zeros((*data.y.shape[1:], data.x.shape[-1]), data.x.dtype))
    assert isinstance(data, Differentiable)
    return data


def _door(params: Params, support: Data, model: Model) -> tuple[Params, Differentiable]:
    check_linear_model(model)
    check_support(params, support, model)
    refuse_data("support", support)
    return tuple(params), differentiable(support)


@compiled("model")
def inner_loss(params: Any, support: Data, model: Model = predict) -> Float[Array, ""]:
    """The loss of one task's data as a function of the end-to-end matrix W.

    For regression 1/2 tr[(W - theta) S (W - theta)' - 2 (W - theta) n'] + 1/2 E |e|²; for binary
    classification the mean of log(1 + exp(-z)) over the margins z, in the population a Gaussian
    integral; for points of classes their mean cross-entropy.

    Args:
        params: (W_1, ..., W_L), W_l of shape (d_l, d_{l-1}). Regression may have several
            outputs, binary tasks have one, classes have one each.
        support: one task's points or moments, without a task axis.
        model: the deep linear model; no other has closed forms.

    Raises:
        ValueError: ``params`` do not chain or do not take the data's dimension.
        NoClosedFormError: another model, or data of another kind.
    """
    params, data = _door(params, support, model)
    return data.loss(params)


@compiled("model")
def inner_grad(params: Any, support: Data, model: Model = predict) -> Params:
    """The gradient in every layer, A_i' G B_i' (A_i, B_i the products above and below layer i).

    G is the gradient in the end-to-end matrix: (W - theta) S - n for regression; for classes
    E (p - e_y) x', p the softmax of W x; in the population of a binary task -(A m - B C w)', C the
    covariance of its inputs, with the Gaussian integrals A = E s(-z) and B = E s(z) s(-z) over the
    margin (Stein's lemma). Arguments and errors are those of ``inner_loss``.

    Args:
        params: as for ``inner_loss``.
        support: as for ``inner_loss``.
        model: as for ``inner_loss``.
    """
    return _layers.grad(*_door(params, support, model))


@compiled("model", "remat")
def adapt(
    params: Any, support: Data, rule: Rule, model: Model = predict, *, remat: bool = False
) -> Params:
    """The parameters after ``rule.steps`` steps along ``inner_grad``.

    Args:
        params: the start, as for ``inner_loss``.
        support: one task's points or moments, without a task axis.
        rule: the adaptation rule, which must be ``linear``.
        model: the deep linear model; no other has closed forms.
        remat: hold less: derivatives of the result recompute inner steps instead of storing them.
            Their memory then grows like the square root of the number of steps.

    Raises:
        ValueError: shapes that disagree.
        NoClosedFormError: another model, data of another kind, or a rule that is not ``linear``.

    >>> import jax.numpy as jnp, toylin as tl
    >>> params, task = (jnp.zeros((1, 1)),), tl.LinearRegression().population(jnp.ones(1))
    >>> (w,) = tl.closed_form.adapt(params, task, tl.MAML(step_size=0.1, steps=2))
    >>> print(f"{w[0, 0]:.2f}")  # 1 - 0.9²
    0.19
    """
    params, data = _door(params, support, model)
    check_rule(rule, params)
    check_linear(rule)
    return _layers.adapt(params, data, rule, remat)
