"""A model, tasks and a rule that fit together: the checks at the door of both routes."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from toylin._internal import checks
from toylin._internal.dtypes import float_type
from toylin._internal.errors import NoClosedFormError
from toylin._internal.pytree import recheck
from toylin.models import Model, check_params, predict
from toylin.rules._base import Rule
from toylin.tasks import (
    Batch,
    BinaryMargins,
    BinaryPoints,
    Data,
    LinearRegression,
    Minibatches,
    Points,
    RegressionPoints,
    TaskLaw,
    check_law,
    quadrature_batch,
)


def check_model(params: Any, model: Model, dim: int | None, outputs: int | None = None) -> None:
    """A model, and parameters that it can take (``dim`` inputs, where it is the linear one)."""
    checks.function("model", model, "model(params, x)")
    if model is predict:
        check_params(params, dim, outputs)
    else:
        checks.float_leaves("params", params)


def check_rule(rule: Rule, params: Any) -> None:
    """A rule that fits the model, whose parameters have been checked."""
    checks.instance("rule", rule, Rule)
    recheck("rule", rule)
    rule.check(params)
    dtype = float_type(params)
    for path, leaf in jax.tree_util.tree_leaves_with_path(rule):
        if jnp.result_type(dtype, leaf) != dtype:
            raise ValueError(
                f"rule{jax.tree_util.keystr(path)} must not be of a wider type than the "
                f"parameters, {dtype}, got {jnp.result_type(leaf)}; a Python float takes theirs"
            )


def check_support(params: Any, support: Data, model: Model = predict) -> None:
    """One task's data, of the dimension that the model takes."""
    _check_data("support", support, params, model, task_axes=0)


def check_problem(params: Any, tasks: TaskLaw, rule: Rule, model: Model = predict) -> None:
    """A model, a law of tasks and a rule that fit together."""
    check_law(tasks)
    recheck("tasks", tasks)
    check_model(params, model, getattr(tasks, "dim", None), getattr(tasks, "outputs", None))
    check_rule(rule, params)
    _check_range(tasks, params)


def _check_range(tasks: TaskLaw, params: Any) -> None:
    """Numbers of the law that the parameters' float type can hold."""
    dtype = float_type(params)
    if jnp.finfo(dtype).bits >= 64:
        return
    limits = jnp.finfo(dtype)
    for path, leaf in jax.tree_util.tree_leaves_with_path(tasks):
        if isinstance(leaf, jax.core.Tracer | jax.Array):
            continue
        sizes = np.abs(np.asarray(leaf, float))
        if np.any((sizes > float(limits.max)) | ((sizes > 0) & (sizes < float(limits.tiny)))):
            raise ValueError(
                f"tasks{jax.tree_util.keystr(path)} must be in the range of the parameters' type, "
                f"{dtype} (from {float(limits.tiny):.2g} to {float(limits.max):.2g}), got {leaf!r}"
            )


def check_batch(params: Any, batch: Batch, rule: Rule, model: Model = predict) -> None:
    """A model, a batch of tasks and a rule that fit together."""
    for name in ("support", "query"):
        _check_data(name, getattr(batch, name), params, model, task_axes=1)
    check_rule(rule, params)


def check_linear(rule: Rule) -> None:
    """A rule that closed forms and exact nodes can serve."""
    if not rule.linear:
        raise NoClosedFormError(
            "closed forms and exact nodes exist for rules whose update is a linear map of the "
            f"gradient, the same at every step, not for {type(rule).__name__} with "
            f"steps={rule.steps}; sample tasks instead: "
            "autodiff.outer_loss(params, tasks.sample(key, num_tasks), rule)"
        )


def as_batch(params: Any, tasks: TaskLaw | Batch, rule: Rule, model: Model = predict) -> Batch:
    """A batch as it is; a law of tasks as the nodes that are exact for it; all checked."""
    if isinstance(tasks, Batch):
        check_batch(params, tasks, rule, model)
        return tasks
    check_problem(params, tasks, rule, model)
    if not isinstance(tasks, LinearRegression) or model is not predict:
        raise NoClosedFormError(
            "exact nodes exist for LinearRegression and the deep linear model, not for "
            f"{type(tasks).__name__} and {getattr(model, '__name__', model)!s}; sample tasks "
            "instead: autodiff.outer_loss(params, tasks.sample(key, num_tasks, num_queries), rule, "
            "model)"
        )
    check_linear(rule)
    return quadrature_batch(tasks, len(params), rule.steps, params[0].dtype)


def _check_data(name: str, data: Any, params: Any, model: Model, task_axes: int) -> None:
    if isinstance(data, BinaryMargins):
        raise ValueError(
            f"{name} must be points or moments: margins can be scored once, by the loss that drew "
            "them, and have no second derivatives"
        )
    leaves = jax.tree.leaves(data)
    if not isinstance(data, Data) or not leaves:
        raise ValueError(
            f"{name} must be what tasks show, a pytree with arrays and a method "
            f"loss(params, model), got {data!r}"
        )
    if any(0 in np.shape(leaf) for leaf in leaves):
        raise ValueError(f"{name} must hold points, got an array without any: {data!r}")
    if isinstance(data, Minibatches):
        _check_data(f"{name}.parts", data.parts, params, model, task_axes + 1)
        return
    if hasattr(data, "check_axes"):
        try:
            data.check_axes(task_axes)
        except ValueError as error:
            where = "of the tasks" if task_axes else "of one task"
            raise ValueError(f"{name} must be the data {where}: {error}") from None
    if model is predict and isinstance(data, Points) and np.ndim(data.x) != task_axes + 2:
        wanted = "(" + ", ".join([*("tasks", "steps")[:task_axes], "points", "dim"]) + ")"
        raise ValueError(
            f"x of {name} must have shape {wanted} for the deep linear model, "
            f"got {np.shape(data.x)}"
        )
    check_model(params, model, getattr(data, "dim", None), getattr(data, "outputs", None))
    if model is predict and isinstance(data, RegressionPoints | BinaryPoints):
        rows, outputs = np.shape(data.y), np.shape(params[-1])[0]
        needed = rows[: task_axes + 1] + ((outputs,) if outputs > 1 else ())
        if rows != needed:
            raise ValueError(
                f"y of {name} must have the shape of the model's outputs, {needed[task_axes:]} a "
                "task, (points,) for one output and (points, outputs) for several; got "
                f"{rows[task_axes:]}"
            )
