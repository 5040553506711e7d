"""The losses that a run is read against."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, cast

from toylin import closed_form
from toylin._internal.errors import NoClosedFormError
from toylin.limits._bayes import bayes_loss
from toylin.limits._optima import deep_floor, shallow_floor, shallow_optimum
from toylin.rules import MAML, Rule
from toylin.tasks import LinearRegression

# From the highest down.
LEVELS = ("no adaptation", "shallow floor", "deep floor", "Bayes")


def reference_losses(tasks: LinearRegression, rule: Rule) -> dict[str, float]:
    """The levels that a run of linear regression is read against, by name.

    ``no adaptation``, the lowest loss of a start that is kept as it is; ``shallow floor``, the
    lowest after adaptation of one layer; ``deep floor``, of two scalar layers; ``Bayes``, of any
    learner that sees the support. Those that have no closed form here are left out.

    Args:
        tasks: linear regression, of any dimension and number of shots.
        rule: the adaptation rule.

    Returns:
        What ``Run.plot(references=...)`` takes.

    Raises:
        ValueError: ``tasks`` is no ``LinearRegression``.

    >>> levels = reference_losses(LinearRegression(shots=10), MAML(0.1))
    >>> {name: round(loss, 3) for name, loss in levels.items()}
    {'no adaptation': 0.5, 'shallow floor': 0.406, 'deep floor': 0.083, 'Bayes': 0.0}
    """
    levels: tuple[Callable[[], Any], ...] = (
        lambda: _unadapted(tasks),
        lambda: shallow_floor(tasks, rule),
        lambda: _deep_floor(tasks, rule),
        lambda: bayes_loss(tasks),
    )
    shallow_optimum(tasks)  # checks the tasks
    found = {name: _or_none(level) for name, level in zip(LEVELS, levels, strict=True)}
    return {name: loss for name, loss in found.items() if loss is not None}


def _unadapted(tasks: LinearRegression) -> Any:
    population = dataclasses.replace(tasks, shots=None)
    return closed_form.outer_loss(shallow_optimum(tasks), population, MAML(0.0))


def _deep_floor(tasks: LinearRegression, rule: Rule) -> Any:
    """For one step of MAML in one dimension; what else it refuses is a ``ValueError`` to it.

    Or an ``OverflowError``: critical points that no float is.
    """
    try:
        return deep_floor(tasks, cast(MAML, rule))
    except (ValueError, OverflowError) as error:
        raise NoClosedFormError(str(error)) from None


def _or_none(level: Callable[[], Any]) -> float | None:
    try:
        return float(level())
    except NoClosedFormError:
        return None
