"""The inner problem by formula: loss, gradient and adaptation on one task's regression data."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float

from toylin._inputs import check_linear, check_rule, check_support
from toylin.closed_form import _layers
from toylin.data import Data, RegressionMoments, RegressionPoints
from toylin.errors import NoClosedFormError
from toylin.model import Params
from toylin.rules import Rule


def as_moments(support: Data) -> RegressionMoments:
    """Regression data by their moments (about zero, where they are points)."""
    if isinstance(support, RegressionMoments):
        return support
    if isinstance(support, RegressionPoints):
        return support.moments(jnp.zeros(support.x.shape[-1], support.x.dtype))
    raise NoClosedFormError(
        f"closed forms exist for regression data, not for {type(support).__name__}; "
        "the function of the same name in toylin.autodiff serves them"
    )


def inner_loss(params: Params, support: Data) -> Float[Array, ""]:
    """1/2 [(w - theta)' S (w - theta) - 2 (w - theta).n + E e²], w the end-to-end vector.

    Args:
        params: (W_1, ..., W_L), W_l of shape (d_l, d_{l-1}), one output.
        support: one task's regression points or moments, without a task axis.

    Raises:
        ValueError: ``params`` do not chain or do not take the data's dimension.
        NoClosedFormError: the data are not regression data.
    """
    check_support(params, support)
    return as_moments(support).loss(params)


def inner_grad(params: Params, support: Data) -> Params:
    """The gradient in every layer, A_i' G B_i' (A_i, B_i the products above and below layer i).

    G = (w - theta)' S - n' is the gradient in the end-to-end vector. Arguments and errors are those
    of ``inner_loss``.
    """
    check_support(params, support)
    return _layers.grad(tuple(params), as_moments(support))


def adapt(params: Params, support: Data, rule: Rule) -> Params:
    """The parameters after ``rule.steps`` steps along ``inner_grad``.

    The rule must be ``linear``. Arguments and other errors are those of ``inner_loss``.
    """
    check_support(params, support)
    check_rule(rule, params)
    check_linear(rule)
    return _layers.descend(tuple(params), as_moments(support), rule)[0]
