"""The outer problem by formula, by the table of routes; a call is checked once, at the door."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax

from toylin._internal import checks
from toylin._internal.compiled import compiled
from toylin._internal.shapes import Array, Float
from toylin.closed_form import _batch
from toylin.closed_form._inner import check_linear_model
from toylin.closed_form._routes import Route, choose
from toylin.models import Model, Params, predict
from toylin.rules import Reptile, Rule, as_batch, check_batch, check_problem, with_gradient
from toylin.tasks import Batch, TaskLaw, beyond_floats_infinite


def route(params: Any, tasks: TaskLaw | Batch, rule: Rule, model: Model = predict) -> Route:
    """Which closed form serves ``outer_loss(params, tasks, rule)``.

    Args:
        params: as for ``outer_loss``.
        tasks: as for ``outer_loss``.
        rule: as for ``outer_loss``.
        model: as for ``outer_loss``.

    Returns:
        An entry of ``ROUTES``, the table; its ``name``, ``description`` and ``accuracy`` are for
        people, and printed it says the first two.

    Raises:
        ValueError: shapes that disagree, or too many nodes.
        NoClosedFormError: a combination without a closed form; the message names what serves it.

    >>> import jax.numpy as jnp, toylin as tl
    >>> tasks, rule = tl.LinearRegression(dim=2), tl.MAML(0.1)
    >>> tl.closed_form.route((jnp.ones((3, 2)), jnp.ones((1, 3))), tasks, rule).name
    'Gaussian moments'
    """
    check_linear_model(model)
    check = check_batch if isinstance(tasks, Batch) else check_problem
    check(params, tasks, rule, model)  # type: ignore[arg-type]
    return choose(tuple(params), tasks, rule)


@compiled("model", "remat")
def task_losses(
    params: Any, tasks: TaskLaw | Batch, rule: Rule, model: Model = predict, *, remat: bool = False
) -> Float[Array, " tasks"]:
    """Every task's (or quadrature node's) query loss after adaptation.

    Arguments and errors are those of ``outer_loss``, but that a law of tasks must have nodes.

    Args:
        params: as for ``outer_loss``.
        tasks: as for ``outer_loss``.
        rule: as for ``outer_loss``.
        model: as for ``outer_loss``.
        remat: as for ``outer_loss``.
    """
    check_linear_model(model)
    batch = as_batch(params, tasks, rule, model)
    choose(tuple(params), batch, rule)
    each = _batch.module_for(params, batch)
    return _batch.task_losses(each, tuple(params), batch, rule, remat)


def outer_loss(
    params: Any, tasks: TaskLaw | Batch, rule: Rule, model: Model = predict, *, remat: bool = False
) -> Float[Array, ""]:
    """The expected query loss after adaptation, exactly.

    ``ROUTES`` is the table of what has a closed form, ``route(params, tasks, rule)`` says which
    one serves. A ``Batch`` of tasks is averaged as it is.

    Args:
        params: the start that all tasks share, (W_1, ..., W_L).
        tasks: a law of tasks, or a ``Batch``.
        rule: an adaptation rule that is ``linear``: MAML, ANIL, Reptile, Meta-SGD, Meta-Curvature
            and Meta-KFO whose factors do not adapt.
        model: the deep linear model; no other has closed forms.
        remat: hold less: derivatives recompute inner steps instead of storing them, where a route
            takes such steps. Their memory then grows like the square root of the number of steps.

    Returns:
        The loss in expectation over tasks, supports and a fresh query point, so with the label
        noise, sigma²/2. ``inf`` where adaptation at a node leaves the range of floats. Where the
        route is a quadrature that has not converged: NaN under ``jit``, which cannot raise.

    Raises:
        ValueError: shapes that disagree, too many nodes (the message says how many), a quadrature
            that has not converged, or a derivative of it beyond the range of floats.
        NoClosedFormError: a combination without a closed form; the message names what serves it.

    Source: Arnold, Iqbal and Sha, "When MAML Can Adapt Fast and How to Assist When It Cannot",
    AISTATS 2021, for the problem; the expectations are ours.

    >>> import jax.numpy as jnp, toylin as tl
    >>> deep = (jnp.zeros((1, 1)), jnp.full((1, 1), 10**0.5))  # f(x) = w_2 w_1 x
    >>> tasks, rule = tl.LinearRegression(noise_std=0.1), tl.MAML(step_size=0.1)
    >>> print(f"{tl.closed_form.outer_loss(deep, tasks, rule):.4f}")  # label noise
    0.0050
    >>> print(f"{tl.closed_form.outer_loss(deep[:1], tasks, rule):.4f}")  # 0.9²/2 more
    0.4100
    """
    return _evaluate(_loss, params, tasks, rule, model, remat)


def outer_grad(
    params: Any, tasks: TaskLaw | Batch, rule: Rule, model: Model = predict, *, remat: bool = False
) -> Params:
    """The gradient of ``outer_loss``, by the formula for it: no automatic differentiation.

    Going back through the inner loop multiplies by I - H_t U', H_t the Hessian of the support loss
    before step t and U the rule's linear map (alpha I for MAML), for which there are formulas too;
    with ``rule.first_order`` it multiplies by I. For ``Reptile`` it is the expected params -
    adapted. These two are biased: the difference from a second-order rule's is how much. An entry
    that leaves the range of floats on its way is inf or NaN; one that is finite is right. Arguments
    and errors are those of ``outer_loss``.

    Args:
        params: as for ``outer_loss``.
        tasks: as for ``outer_loss``.
        rule: as for ``outer_loss``.
        model: as for ``outer_loss``.
        remat: as for ``outer_loss``.
    """
    return _evaluate(Route.grad, params, tasks, rule, model, remat)


def outer_value_and_grad(
    params: Any, tasks: TaskLaw | Batch, rule: Rule, model: Model = predict, *, remat: bool = False
) -> tuple[Float[Array, ""], Params]:
    """``outer_loss`` and ``outer_grad`` in one pass. Arguments and errors are those of the former.

    Args:
        params: as for ``outer_loss``.
        tasks: as for ``outer_loss``.
        rule: as for ``outer_loss``.
        model: as for ``outer_loss``.
        remat: as for ``outer_loss``.

    >>> import jax.numpy as jnp, toylin as tl
    >>> tasks, rule = tl.LinearRegression(), tl.MAML(0.1)
    >>> value, grads = outer_value_and_grad((jnp.ones((1, 1)),), tasks, rule)
    >>> print(f"{value:.3f} {grads[0].item():.3f}")
    0.810 0.810
    """
    return _evaluate(_value_and_grad, params, tasks, rule, model, remat)


def _loss(found: Route, params: Params, tasks: Any, rule: Rule, remat: bool) -> Array:
    if isinstance(rule, Reptile):
        return _value_and_grad(found, params, tasks, rule, remat)[0]
    return _infinite_beyond(found, found.loss(params, tasks, rule, remat), params, tasks, rule)


def _value_and_grad(
    found: Route, params: Params, tasks: Any, rule: Rule, remat: bool
) -> tuple[Array, Params]:
    value, grads = found.value_and_grad(params, tasks, rule, remat)
    value = _infinite_beyond(found, value, params, tasks, rule)
    if isinstance(rule, Reptile):
        value = with_gradient(value, params, grads)
    return value, grads


def _infinite_beyond(found: Route, loss: Array, params: Params, tasks: Any, rule: Rule) -> Array:
    """Expectations; drawn tasks are averaged as they are, and a certified NaN stays one."""
    if found.looks_at_values:
        return loss
    if not isinstance(tasks, Batch):
        return beyond_floats_infinite(loss, (params, tasks, rule))
    if tasks.log_weight is None:
        return loss
    return beyond_floats_infinite(loss, (params, tasks.support, tasks.query, rule))


def _evaluate(
    what: Callable[..., Any], params: Any, tasks: Any, rule: Rule, model: Model, remat: bool
) -> Any:
    checks.flag("remat", remat)
    found = route(params, tasks, rule, model)
    run = what if found.looks_at_values else partial(_compiled, what)
    return run(found, tuple(params), tasks, rule, remat)


@partial(jax.jit, static_argnames=("what", "found", "remat"))
def _compiled(
    what: Callable[..., Any], found: Route, params: Params, tasks: Any, rule: Rule, remat: bool
) -> Any:
    return what(found, params, tasks, rule, remat)
