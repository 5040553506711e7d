"""Slips that one makes in a formula for an outer loss, told by the numbers that they lead to."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from toylin.models import Params
from toylin.rules import Rule


class Setting(NamedTuple):
    """Where a formula is tried."""

    params: Params
    tasks: Any
    rule: Rule


Loss = Callable[[Setting], float]
# What the formula gives where somebody made the slip, from the right loss at some setting.
Slip = Callable[[Loss, Setting], float]


def _tasks(setting: Setting, **fields: Any) -> Setting:
    return setting._replace(tasks=dataclasses.replace(setting.tasks, **fields))


def _rule(setting: Setting, **fields: Any) -> Setting:
    return setting._replace(rule=setting.rule.replace(**fields))


def _power(name: str, exponent: float) -> Slip:
    """A covariance, where it is a number, to another power."""

    def slip(loss: Loss, setting: Setting) -> float:
        return loss(_tasks(setting, **{name: float(getattr(setting.tasks, name)) ** exponent}))

    return slip


def _noise(setting: Setting) -> float:
    return float(setting.tasks.noise_std) ** 2


SLIPS: dict[str, Slip] = {
    "a factor of 2: the loss is half the squared error": lambda loss, s: 2 * loss(s),
    "a factor of 1/2: the loss is half the squared error once, not twice": (
        lambda loss, s: 0.5 * loss(s)
    ),
    "the sign of the loss": lambda loss, s: -loss(s),
    "the sign of the step: adaptation goes down the inner gradient": (
        lambda loss, s: loss(_rule(s, step_size=-s.rule.step_size))  # type: ignore[attr-defined]
    ),
    "the step size: it enters doubled": (
        lambda loss, s: loss(_rule(s, step_size=2 * s.rule.step_size))  # type: ignore[attr-defined]
    ),
    "the step size: it enters halved": (
        lambda loss, s: loss(_rule(s, step_size=0.5 * s.rule.step_size))  # type: ignore[attr-defined]
    ),
    "no label noise at all": lambda loss, s: loss(_tasks(s, noise_std=0.0)),
    "the label noise of the queries is missing, noise_std**2 / 2": (
        lambda loss, s: loss(s) - _noise(s) / 2
    ),
    "the label noise of the queries enters in full, not by half": (
        lambda loss, s: loss(s) + _noise(s) / 2
    ),
    "the label noise of the support is missing": (
        lambda loss, s: loss(_tasks(s, noise_std=0.0)) + _noise(s) / 2
    ),
    "noise_std is a standard deviation: its square enters": (
        lambda loss, s: loss(_tasks(s, noise_std=float(s.tasks.noise_std) ** 0.5))
    ),
    "x_cov is a covariance: not its square enters": _power("x_cov", 2.0),
    "x_cov is a covariance: not its root enters": _power("x_cov", 0.5),
    "theta_cov is a covariance: not its square enters": _power("theta_cov", 2.0),
    "theta_cov is a covariance: not its root enters": _power("theta_cov", 0.5),
    "theta_mean is missing": lambda loss, s: loss(_tasks(s, theta_mean=0.0)),
    "the sign of theta_mean": lambda loss, s: loss(_tasks(s, theta_mean=-s.tasks.theta_mean)),
    "the support is the population, not shots points": lambda loss, s: loss(_tasks(s, shots=None)),
    "the number of shots: one too few": lambda loss, s: loss(_tasks(s, shots=s.tasks.shots - 1)),
    "the number of shots: one too many": lambda loss, s: loss(_tasks(s, shots=s.tasks.shots + 1)),
    "no adaptation at all": lambda loss, s: loss(_rule(s, steps=0)),
    "an inner step is missing": lambda loss, s: loss(_rule(s, steps=s.rule.steps - 1)),
    "an inner step too many": lambda loss, s: loss(_rule(s, steps=s.rule.steps + 1)),
}


def named(values: Sequence[tuple[Setting, float]], loss: Loss, tolerance: float) -> list[str]:
    """The slips that lead to just these values of the formula, at every setting.

    Args:
        values: settings, and the formula's values there; some of them wrong.
        loss: the right loss.
        tolerance: relative disagreement allowed.
    """
    return [name for name, slip in SLIPS.items() if _explains(slip, values, loss, tolerance)]


def _explains(
    slip: Slip, values: Sequence[tuple[Setting, float]], loss: Loss, tolerance: float
) -> bool:
    for setting, value in values:
        try:
            predicted = slip(loss, setting)
        except (AttributeError, TypeError, ValueError):  # no such field, or it cannot be that
            return False
        if not np.isclose(value, predicted, rtol=tolerance, atol=0.0):
            return False
    return True
