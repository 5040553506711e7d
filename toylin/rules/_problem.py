"""What both routes accept: the checks at their boundary, and tasks turned into a batch."""

from __future__ import annotations

from typing import TypeAlias

from toylin._internal import checks
from toylin._internal.errors import NoClosedFormError
from toylin.models import Params, check_params
from toylin.rules import Rule
from toylin.tasks import (
    Batch,
    BinaryClassification,
    BinaryMargins,
    BinaryMoments,
    BinaryPoints,
    Data,
    LinearRegression,
    RegressionMoments,
    RegressionPoints,
    quadrature_batch,
)

Tasks: TypeAlias = LinearRegression | BinaryClassification
_DATA = (RegressionPoints, RegressionMoments, BinaryPoints, BinaryMoments)


def _dim(data: Data) -> int:
    match data:
        case RegressionMoments():
            return data.theta.shape[-1]
        case BinaryMoments() | BinaryMargins():
            return data.mean.shape[-1]
        case _:
            return data.x.shape[-1]


def check_support(params: Params, support: Data) -> None:
    """One task's data, of the dimension that the model takes."""
    checks.instance("support", support, _DATA)
    check_params(params, _dim(support))


def check_rule(rule: Rule, params: Params) -> None:
    """A rule that fits the model."""
    checks.instance("rule", rule, Rule)
    rule.check(params)


def check_linear(rule: Rule) -> None:
    """A rule that closed forms and exact nodes can serve."""
    if not rule.linear:
        raise NoClosedFormError(
            "closed forms and exact nodes exist for rules whose update is one linear map of the "
            f"gradient at every step, not for {type(rule).__name__} with steps={rule.steps}; "
            "sample tasks instead: "
            "autodiff.outer_loss(params, tasks.sample(key, num_tasks), rule)"
        )


def check_problem(params: Params, tasks: Tasks, rule: Rule) -> None:
    """A model, a distribution of tasks and a rule that fit together."""
    checks.instance("tasks", tasks, (LinearRegression, BinaryClassification))
    check_params(params, tasks.dim)
    check_rule(rule, params)


def as_batch(params: Params, tasks: Tasks | Batch, rule: Rule) -> Batch:
    """A batch as it is; a distribution of tasks as the nodes that are exact for it."""
    checks.instance("tasks", tasks, (LinearRegression, BinaryClassification, Batch))
    checks.instance("rule", rule, Rule)
    if not isinstance(tasks, Batch):
        check_params(params, tasks.dim)
        rule.check(params)
        check_linear(rule)
        return quadrature_batch(tasks, len(params), rule.steps, params[0].dtype)
    check_params(params, _dim(tasks.support))
    rule.check(params)
    return tasks
