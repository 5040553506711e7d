"""The outer problem by formula: which closed form serves which combination."""

from __future__ import annotations

import jax

from toylin._internal.compiled import compiled
from toylin._internal.shapes import Array, Float
from toylin.closed_form import _binary, _layers, _scalar, _shallow, _wick
from toylin.closed_form._end_to_end import Differentiable
from toylin.closed_form._inner import differentiable
from toylin.models import Params, check_params, is_scalar
from toylin.rules import MAML, Reptile, Rule, Tasks, as_batch, check_linear, check_rule
from toylin.rules._base import subtract, with_gradient
from toylin.tasks import (
    Batch,
    BinaryClassification,
    LinearRegression,
    RegressionMoments,
    mean_loss,
    weighted_mean,
)


def _shallow_applies(params: Params, tasks: Tasks | Batch, rule: Rule) -> bool:
    if not isinstance(tasks, LinearRegression):
        return False
    check_params(params, tasks.dim)
    check_rule(rule, params)
    return len(params) == 1 and rule.linear and _shallow.has_formula(tasks, rule.steps)


def _wick_applies(params: Params, tasks: Tasks | Batch, rule: Rule) -> bool:
    return (
        isinstance(tasks, LinearRegression)
        and tasks.shots is None
        and type(rule) is MAML
        and rule.steps == 1
        and len(params) == 2
        and not is_scalar(params)
    )


def _data(batch: Batch) -> tuple[Differentiable, Differentiable]:
    return jax.vmap(differentiable)(batch.support), jax.vmap(differentiable)(batch.query)


def _inputs(
    params: Params, tasks: Tasks | Batch, rule: Rule
) -> tuple[Params, Batch, Differentiable, Differentiable]:
    batch = as_batch(params, tasks, rule)
    check_linear(rule)
    return tuple(params), batch, *_data(batch)


@compiled()
def task_losses(params: Params, tasks: Tasks | Batch, rule: Rule) -> Float[Array, " tasks"]:
    """Every task's (or quadrature node's) query loss after adaptation."""
    params, _, support, query = _inputs(params, tasks, rule)
    if is_scalar(params) and isinstance(support, RegressionMoments):
        assert isinstance(query, RegressionMoments)
        return _scalar.task_losses(params, support, query, rule)

    def one(support: Differentiable, query: Differentiable) -> Array:
        return query.loss(_layers.descend(params, support, rule)[0])

    return jax.vmap(one)(support, query)


def outer_loss(params: Params, tasks: Tasks | Batch, rule: Rule) -> Float[Array, ""]:
    """The expected query loss after adaptation, exactly.

    Served, for linear regression (L layers, d dimensions, K shots, T steps):
    the shallow model, in the population at any T and for K shots at T = 1, by its quadratic form;
    two layers in the population at T = 1, by Gaussian moments, at a cost polynomial in d;
    d = 1 with any L, T, K and noise, and any d and L in the population, by a Gauss rule that is
    exact for the polynomial that the loss is (``quadrature_batch``). For binary classification:
    the population with x_cov a multiple of the identity, any d and T, and layers of width one
    above the input (the shallow model among them), by a two-dimensional quadrature to 1e-10. Its
    value and gradient hold everywhere; second derivatives by JAX do not hold at a first layer of
    exactly zero, where the axis along it is not defined. A ``Batch`` of tasks is averaged as it is.

    Args:
        params: the start that all tasks share, (W_1, ..., W_L).
        tasks: a distribution of tasks, or a ``Batch``.
        rule: an adaptation rule that is ``linear``: MAML, ANIL, Reptile, Meta-SGD, Meta-Curvature
            and Meta-KFO whose factors do not adapt.

    Returns:
        The loss in expectation over tasks, supports and a fresh query point, so with the label
        noise, sigma²/2. ``inf`` where adaptation at a node leaves the range of floats.

    Raises:
        ValueError: shapes that disagree, or too many nodes (the message says how many).
        NoClosedFormError: a combination without a closed form; the message names what serves it.

    Source: Arnold, Iqbal and Sha, "When MAML Can Adapt Fast and How to Assist When It Cannot",
    AISTATS 2021, for the problem; the expectations are ours.
    """
    # The binary quadrature looks at values to know whether it has converged.
    route = _loss if isinstance(tasks, BinaryClassification) else _compiled_loss
    return route(params, tasks, rule)


def _loss(params: Params, tasks: Tasks | Batch, rule: Rule) -> Array:
    loss = _expected_loss(params, tasks, rule)
    if isinstance(rule, Reptile):
        return with_gradient(loss, params, outer_grad(params, tasks, rule))
    if rule.first_order and _wick_applies(params, tasks, rule):
        # First order in the start alone: at one step all else enters beside the inner gradient.
        fixed = _expected_loss(jax.lax.stop_gradient(tuple(params)), tasks, rule)
        declared = with_gradient(loss, params, outer_grad(params, tasks, rule))
        return declared + fixed - jax.lax.stop_gradient(fixed)
    return loss


def _expected_loss(params: Params, tasks: Tasks | Batch, rule: Rule) -> Array:
    if _shallow_applies(params, tasks, rule):
        assert isinstance(tasks, LinearRegression)
        return _shallow.outer_loss(params[0], tasks, rule)
    if _wick_applies(params, tasks, rule):
        assert isinstance(tasks, LinearRegression)
        assert isinstance(rule, MAML)
        return _wick.outer_loss(tuple(params), tasks, rule.step_size)
    if isinstance(tasks, BinaryClassification):
        return _binary.outer_loss(params, tasks, rule, outer_loss)
    batch = as_batch(params, tasks, rule)
    return mean_loss(task_losses(params, batch, rule), batch)


def outer_grad(params: Params, tasks: Tasks | Batch, rule: Rule) -> Params:
    """The gradient of ``outer_loss``, by the formula for it: no automatic differentiation.

    Going back through the inner loop multiplies by I - H_t U', H_t the Hessian of the support loss
    before step t and U the rule's linear map (alpha I for MAML), for which there are formulas too;
    with ``rule.first_order`` it multiplies by I. For ``Reptile`` it is the expected params -
    adapted. These two are biased: the difference from a second-order rule's is how much. Arguments
    and errors are those of ``outer_loss``.
    """
    route = _grad if isinstance(tasks, BinaryClassification) else _compiled_grad
    return route(params, tasks, rule)


def _grad(params: Params, tasks: Tasks | Batch, rule: Rule) -> Params:
    if _shallow_applies(params, tasks, rule):
        assert isinstance(tasks, LinearRegression)
        return (_shallow.outer_grad(params[0], tasks, rule),)
    if _wick_applies(params, tasks, rule):
        assert isinstance(tasks, LinearRegression)
        assert isinstance(rule, MAML)
        return _wick.outer_grad(tuple(params), tasks, rule.step_size, rule.first_order)
    if isinstance(tasks, BinaryClassification):
        return _binary.outer_grad(params, tasks, rule, outer_loss, outer_grad)
    params, batch, support, query = _inputs(params, tasks, rule)
    if isinstance(rule, Reptile):
        grads = _displacements(params, support, rule)
    elif is_scalar(params) and isinstance(support, RegressionMoments):
        assert isinstance(query, RegressionMoments)
        grads = _scalar.hypergradients(params, support, query, rule)
    else:
        grads = jax.vmap(lambda s, q: _layers.hypergradient(params, s, q, rule))(support, query)
    return tuple(weighted_mean(g, batch) for g in grads)


def _displacements(params: Params, support: Differentiable, rule: Rule) -> Params:
    """Every task's params - adapted."""
    if is_scalar(params) and isinstance(support, RegressionMoments):
        return _scalar.displacements(params, support, rule)
    return jax.vmap(lambda s: subtract(params, _layers.descend(params, s, rule)[0]))(support)


_compiled_loss = compiled()(_loss)
_compiled_grad = compiled()(_grad)
