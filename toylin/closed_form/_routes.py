"""Which closed form serves what: the table of routes, and the choice from it.

A route's functions check nothing: the door in ``_outer`` has.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NoReturn, TypeAlias

import jax
import numpy as np

from toylin._internal.errors import NoClosedFormError
from toylin._internal.shapes import Array
from toylin.closed_form import _batch, _binary, _layers, _scalar, _shallow, _wick
from toylin.closed_form._inner import refuse_data
from toylin.models import Params, is_scalar
from toylin.rules import MAML, Reptile, Rule, check_linear, with_gradient
from toylin.tasks import (
    MAX_IN_ONE,
    MAX_NODES,
    Batch,
    BinaryClassification,
    LinearRegression,
    TaskLaw,
    quadrature_batch,
    too_many_nodes,
)

Tasks: TypeAlias = TaskLaw | Batch


@dataclass(frozen=True, eq=False)
class Route:
    """One closed form of the outer loss.

    Attributes:
        name: what it is called.
        description: what it serves, for people.
        accuracy: how exact it is.
        serves: whether it serves ``(params, tasks, rule)``, which are known to fit together. Of
            the routes that do, the first in the table is taken.
        loss: the outer loss of ``(params, tasks, rule, remat)``.
        value_and_grad: the loss and its gradient in ``params``, sharing what they can.
        looks_at_values: whether it must see numbers to know that it has converged, so that it is
            not compiled as a whole.
    """

    name: str
    description: str
    accuracy: str
    serves: Callable[[Params, Any, Rule], bool]
    loss: Callable[[Params, Any, Any, bool], Array]
    value_and_grad: Callable[[Params, Any, Any, bool], tuple[Array, Params]]
    looks_at_values: bool = False

    def grad(self, params: Params, tasks: Any, rule: Rule, remat: bool) -> Params:
        """The gradient in ``params``."""
        return self.value_and_grad(params, tasks, rule, remat)[1]

    def __str__(self) -> str:
        return f"{self.name}: {self.description}"


def _is_shallow(params: Params, tasks: Tasks, rule: Rule) -> bool:
    few_steps = isinstance(tasks, LinearRegression) and (tasks.shots is None or rule.steps <= 1)
    return few_steps and len(params) == 1 and rule.linear and _knows_direction(rule)


def _is_two_layers(params: Params, tasks: Tasks, rule: Rule) -> bool:
    return (
        isinstance(tasks, LinearRegression)
        and tasks.shots is None
        and type(rule) is MAML
        and rule.steps == 1
        and len(params) == 2
        and not is_scalar(params)
    )


def _is_binary(params: Params, tasks: Tasks, rule: Rule) -> bool:
    return (
        isinstance(tasks, BinaryClassification)
        and tasks.shots is None
        and np.ndim(tasks.x_cov) == 0
        and isinstance(rule, MAML)
        and all(np.shape(w)[0] == 1 for w in params)
    )


def _has_nodes(params: Params, tasks: Tasks, rule: Rule) -> bool:
    return (
        isinstance(tasks, LinearRegression)
        and (tasks.shots is None or tasks.dim * tasks.outputs == 1)
        and rule.linear
        and _knows_direction(rule)
        and not too_many_nodes(tasks, len(params), rule.steps)
    )


def _is_batch(params: Params, tasks: Tasks, rule: Rule) -> bool:
    return (
        isinstance(tasks, Batch) and _batch.serves(tasks) and rule.linear and _knows_direction(rule)
    )


def _knows_direction(rule: Rule) -> bool:
    """Whether the outer direction of the rule is a gradient, or the one that is known here."""
    return type(rule).outer_value in (Rule.outer_value, Reptile.outer_value)


def _wick_loss(params: Params, tasks: LinearRegression, rule: Any, remat: bool) -> Array:
    if rule.first_order:
        return _wick_value_and_grad(params, tasks, rule, remat)[0]
    return _wick.outer_loss(params, tasks, rule.step_size)


def _wick_value_and_grad(
    params: Params, tasks: LinearRegression, rule: Any, remat: bool
) -> tuple[Array, Params]:
    loss, grads = _wick.outer_value_and_grad(params, tasks, rule.step_size, rule.first_order)
    if rule.first_order:
        # In the start alone: at one step all else enters beside the inner gradient.
        fixed = _wick.outer_loss(jax.lax.stop_gradient(params), tasks, rule.step_size)
        loss = with_gradient(loss, params, grads) + fixed - jax.lax.stop_gradient(fixed)
    return loss, grads


def _binary_loss(params: Params, tasks: BinaryClassification, rule: MAML, remat: bool) -> Array:
    return _binary.outer_loss(params, tasks, rule, _batch.loss_by_layers)


def _binary_value_and_grad(
    params: Params, tasks: BinaryClassification, rule: MAML, remat: bool
) -> tuple[Array, Params]:
    return _binary.outer_value_and_grad(params, tasks, rule, _batch.value_and_grad_by_layers)


def _nodes(params: Params, tasks: LinearRegression, rule: Rule) -> Batch:
    return quadrature_batch(tasks, len(params), rule.steps, params[0].dtype)


def _drawn(params: Params, tasks: Batch, rule: Rule) -> Batch:
    return tasks


def _one_by_one(each: ModuleType, batch_of: Callable[..., Batch]) -> tuple[Any, Any]:
    """Loss, and loss and gradient, by the formulas in ``each`` for every task of a batch."""

    def by(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda params, tasks, rule, remat: function(
            each, params, batch_of(params, tasks, rule), rule, remat
        )

    return by(_batch.outer_loss), by(_batch.outer_value_and_grad)


_NODES = f"up to {MAX_NODES} nodes, {MAX_IN_ONE} in one number"

ROUTES = (
    Route(
        "quadratic form",
        "LinearRegression; one layer, any dimension, any number of outputs; the population at any "
        "number of steps, K shots at one step or none; any linear rule",
        "rounding",
        _is_shallow,
        lambda params, tasks, rule, remat: _shallow.outer_loss(params, tasks, rule),
        lambda params, tasks, rule, remat: _shallow.outer_value_and_grad(params, tasks, rule),
    ),
    Route(
        "Gaussian moments",
        "LinearRegression in the population; two layers of any widths, any dimension and number of "
        "outputs, at a cost polynomial in them; one step of MAML or FOMAML",
        "rounding",
        _is_two_layers,
        _wick_loss,
        _wick_value_and_grad,
    ),
    Route(
        "binary quadrature",
        "BinaryClassification in the population, x_cov a number; layers of width one above the "
        "input, any dimension; any number of steps of MAML or FOMAML",
        "1e-10, relative, of the value; of derivatives relative to the mean of their sizes",
        _is_binary,
        _binary_loss,
        _binary_value_and_grad,
        looks_at_values=True,
    ),
    Route(
        "scalar nodes",
        "LinearRegression; layers of one number each; any depth, steps, shots and noise; any "
        f"linear rule; {_NODES}",
        "rounding: the Gauss rule is exact for the polynomial that the loss is",
        lambda params, tasks, rule: is_scalar(params) and _has_nodes(params, tasks, rule),
        *_one_by_one(_scalar, _nodes),
    ),
    Route(
        "layered nodes",
        "LinearRegression; any depth and widths; the population in any dimension and of any number "
        "of outputs, K shots in one dimension and of one output; "
        f"any number of steps of any linear rule; {_NODES}",
        "rounding: the Gauss rule is exact for the polynomial that the loss is",
        _has_nodes,
        *_one_by_one(_layers, _nodes),
    ),
    Route(
        "scalar batch",
        "a Batch of regression tasks; layers of one number each; any linear rule",
        "rounding, for the tasks of the batch",
        lambda params, tasks, rule: (
            _is_batch(params, tasks, rule) and _batch.is_elementwise(params, tasks)
        ),
        *_one_by_one(_scalar, _drawn),
    ),
    Route(
        "layered batch",
        "a Batch of regression or binary tasks, points or moments, or of points of classes; any "
        "depth and widths; any linear rule",
        "rounding, for the tasks of the batch",
        _is_batch,
        *_one_by_one(_layers, _drawn),
    ),
)


def choose(params: Params, tasks: Tasks, rule: Rule) -> Route:
    """The first route that serves arguments which are known to fit together.

    Raises:
        NoClosedFormError: none does; the message names what does.
        ValueError: too many nodes.
    """
    for route in ROUTES:
        if route.serves(params, tasks, rule):
            return route
    return _refuse(params, tasks, rule)


def _refuse(params: Params, tasks: Tasks, rule: Rule) -> NoReturn:
    """Say why no route serves."""
    if isinstance(tasks, BinaryClassification):
        _refuse_binary(params, tasks, rule)
    check_linear(rule)
    if not _knows_direction(rule):
        raise NoClosedFormError(
            f"the outer direction of {type(rule).__name__} has no formula here; "
            "autodiff.outer_loss(params, tasks.sample(key, num_tasks), rule) serves it"
        )
    if isinstance(tasks, Batch):
        refuse_data("support", tasks.support)
        refuse_data("query", tasks.query)
    elif isinstance(tasks, LinearRegression):
        quadrature_batch(tasks, len(params), rule.steps, params[0].dtype)
    raise NoClosedFormError(
        f"closed forms serve LinearRegression, BinaryClassification and batches, not "
        f"{type(tasks).__name__}; sample tasks instead: "
        "autodiff.outer_loss(params, tasks.sample(key, num_tasks, num_queries), rule)"
    )


def _refuse_binary(params: Params, tasks: BinaryClassification, rule: Rule) -> NoReturn:
    widths = (tasks.dim, *(np.shape(w)[0] for w in params))
    cov = "a number" if np.ndim(tasks.x_cov) == 0 else "a matrix"
    raise NoClosedFormError(
        "the outer loss of BinaryClassification has a closed form in the population (shots=None), "
        "for x_cov a number, every width above the input 1 and MAML; got "
        f"shots={tasks.shots}, x_cov {cov}, widths={widths} and {type(rule).__name__}. "
        "toylin.estimate(params, tasks, rule, key, num_tasks) averages the exact inner loop over "
        "sampled tasks and returns a standard error"
    )
