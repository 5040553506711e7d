"""The flags that state a scalar regression problem, and the problem they state."""

from __future__ import annotations

from typing import Any, NamedTuple

import click
import jax.numpy as jnp

from toylin.cli._common import FINITE, POSITIVE, SHOTS, together
from toylin.models import Params
from toylin.rules import MAML
from toylin.tasks import LinearRegression


class Problem(NamedTuple):
    """A model, a distribution of tasks and a rule."""

    params: Params
    tasks: LinearRegression
    rule: MAML


def weights_option(_: click.Context, __: click.Parameter, text: str) -> tuple[float, ...]:
    """Numbers separated by commas."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter(f"must be numbers separated by commas, got {text!r}") from None


_OPTIONS = (
    click.option(
        "--weights",
        required=True,
        callback=weights_option,
        metavar="W1,W2,...",
        help="The weights of the deep scalar model, bottom layer first; as many as layers.",
    ),
    click.option("--step-size", type=FINITE, default=0.1, show_default=True, help="Inner step."),
    click.option("--steps", type=int, default=1, show_default=True, help="Inner steps."),
    click.option(
        "--theta-mean", type=FINITE, default=0.0, show_default=True, help="Mean of theta."
    ),
    click.option(
        "--theta-cov", type=POSITIVE, default=1.0, show_default=True, help="Variance of theta."
    ),
    click.option("--x-cov", type=POSITIVE, default=1.0, show_default=True, help="Variance of x."),
    click.option(
        "--noise-std",
        type=FINITE,
        default=0.0,
        show_default=True,
        help="Standard deviation of the label noise.",
    ),
    click.option(
        "--shots",
        type=SHOTS,
        default="population",
        show_default=True,
        help="Support points a task, or the word population.",
    ),
    click.option(
        "--first-order", is_flag=True, help="First-order outer gradients (FOMAML), not MAML's."
    ),
)


# Adds the flags to a command, which takes them as ``**flags`` for ``make_problem``.
problem_options = together(_OPTIONS)


def make_problem(flags: dict[str, Any]) -> Problem:
    """The problem that the flags state.

    Raises:
        ValueError: a flag's value is out of range; the message names it.
    """
    if not all(abs(w) < float("inf") for w in flags["weights"]):
        raise ValueError(f"--weights must be finite numbers, got {flags['weights']}")
    return Problem(
        params=tuple(jnp.array([[w]]) for w in flags["weights"]),
        tasks=LinearRegression(
            theta_mean=flags["theta_mean"],
            theta_cov=flags["theta_cov"],
            x_cov=flags["x_cov"],
            noise_std=flags["noise_std"],
            shots=flags["shots"],
        ),
        rule=MAML(flags["step_size"], flags["steps"], first_order=flags["first_order"]),
    )


def stated(problem: Problem) -> str:
    """The problem in one line, with what the flags have left as it is."""
    tasks, rule, layers = problem.tasks, problem.rule, range(len(problem.params), 0, -1)
    shots = "the population" if tasks.shots is None else f"{tasks.shots} shots"
    if tasks.shots == 1:
        shots = "1 shot"
    steps = "1 step" if rule.steps == 1 else f"{rule.steps} steps"
    order = ", first order" if rule.first_order else ""
    return (
        f"f(x) = {' '.join(f'w{k}' for k in layers)} x; tasks y = theta x + noise, theta ~ "
        f"N({tasks.theta_mean:g}, {tasks.theta_cov:g}), x ~ N(0, {tasks.x_cov:g}), noise of "
        f"std {tasks.noise_std:g}; {steps} of {rule.step_size:g} on {shots}{order}"
    )
