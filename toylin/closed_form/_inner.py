"""The inner problem by formula: loss, gradient and adaptation on one task's data."""

from __future__ import annotations

import jax.numpy as jnp

from toylin._internal.compiled import compiled
from toylin._internal.errors import NoClosedFormError
from toylin._internal.shapes import Array, Float
from toylin.closed_form import _layers
from toylin.closed_form._end_to_end import Differentiable
from toylin.models import Params
from toylin.rules import Rule, check_linear, check_rule, check_support
from toylin.tasks import BinaryMargins, Data, RegressionPoints


def differentiable(support: Data) -> Differentiable:
    """Data in a form with formulas for the derivatives of their loss.

    Regression points become their moments (about zero).

    Raises:
        NoClosedFormError: margins, which a query is drawn as and nothing can adapt on.
    """
    if isinstance(support, RegressionPoints):
        return support.moments(jnp.zeros(support.x.shape[-1], support.x.dtype))
    if isinstance(support, BinaryMargins):
        raise NoClosedFormError(
            "margins are drawn at each model, for scoring by autodiff; for a formula use points "
            "(tasks.sample) or the population (num_queries=None)"
        )
    return support


@compiled()
def inner_loss(params: Params, support: Data) -> Float[Array, ""]:
    """The loss of one task's data as a function of the end-to-end vector w.

    For regression 1/2 [(w - theta)' S (w - theta) - 2 (w - theta).n + E e²]; for binary
    classification the mean of log(1 + exp(-z)) over the margins z, in the population a Gaussian
    integral.

    Args:
        params: (W_1, ..., W_L), W_l of shape (d_l, d_{l-1}), one output.
        support: one task's points or moments, without a task axis.

    Raises:
        ValueError: ``params`` do not chain or do not take the data's dimension.
    """
    check_support(params, support)
    return differentiable(support).loss(params)


@compiled()
def inner_grad(params: Params, support: Data) -> Params:
    """The gradient in every layer, A_i' G B_i' (A_i, B_i the products above and below layer i).

    G is the gradient in the end-to-end vector: (w - theta)' S - n' for regression, and in the
    population of a binary task -(A m - B C w)', C the covariance of its inputs, with the Gaussian
    integrals A = E s(-z) and B = E s(z) s(-z) over the margin (Stein's lemma). Arguments and
    errors are those of ``inner_loss``.
    """
    check_support(params, support)
    return _layers.grad(tuple(params), differentiable(support))


@compiled()
def adapt(params: Params, support: Data, rule: Rule) -> Params:
    """The parameters after ``rule.steps`` steps along ``inner_grad``.

    The rule must be ``linear``. Arguments and other errors are those of ``inner_loss``.
    """
    check_support(params, support)
    check_rule(rule, params)
    check_linear(rule)
    return _layers.descend(tuple(params), differentiable(support), rule)[0]
