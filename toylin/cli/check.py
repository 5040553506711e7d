"""``toylin check``: four routes to one number, and whether they agree."""

from __future__ import annotations

import json
import time
from typing import Any, NamedTuple

import click
import jax
import jax.numpy as jnp
import numpy as np

from toylin import autodiff, closed_form
from toylin.cli._common import finite, use_float64
from toylin.cli._problem import Problem, make_problem, problem_options

# Eight points, exact for polynomials of degree 8: f'(x) = sum_k c_k [f(x + k h) - f(x - k h)] / h.
_STENCIL = (4 / 5, -1 / 5, 4 / 105, -1 / 280)
FINITE_DIFFERENCE_TOLERANCE = 1e-6
DISAGREE = 3


class Answer(NamedTuple):
    """The loss (None where a route has only a gradient) and its gradient."""

    loss: float | None
    grad: list[float]


def finite_differences(problem: Problem) -> Answer:
    """The gradient from values of ``closed_form.outer_loss`` around the weights.

    The loss has degree 2 L (2 L - 1)^T in the weights; moving one by a small part of 1 / degree of
    itself keeps the truncation error near that of rounding.
    """
    params, tasks, rule = problem
    start = jnp.concatenate([w[0] for w in params])
    depth = start.size
    degree = 2 * depth * (2 * depth - 1) ** rule.steps
    scale = jnp.max(jnp.abs(start))
    step = 0.1 / degree * jnp.where(scale > 0, scale, 1.0)

    def loss(weights: jax.Array) -> jax.Array:
        return closed_form.outer_loss(tuple(w[None, None] for w in weights), tasks, rule)

    shifts = step * jnp.arange(1.0, len(_STENCIL) + 1)[:, None, None] * jnp.eye(depth)
    values = jax.jit(jax.vmap(jax.vmap(lambda d: loss(start + d) - loss(start - d))))(shifts)
    return Answer(None, (jnp.asarray(_STENCIL) @ values / step).tolist())


def by_route(route: Any, problem: Problem) -> Answer:
    """The answer of ``closed_form`` or ``autodiff``."""
    loss, grads = jax.jit(lambda p: (route.outer_loss(*p), route.outer_grad(*p)))(problem)
    return Answer(float(loss), [float(g[0, 0]) for g in grads])


def exact(problem: Problem) -> tuple[Answer, str]:
    """The exact answer, rounded once, and the loss as a fraction."""
    from toylin import symbolic

    params, tasks, rule = problem
    weights = [float(w[0, 0]) for w in params]
    loss, grad = symbolic.outer_value_and_grad(weights, tasks, rule)
    answer = Answer(_round(loss), [_round(g) for g in grad])
    return answer, str(loss)


def _round(value: Any) -> float:
    try:
        return int(value.numerator) / int(value.denominator)
    except OverflowError:
        raise ValueError(
            f"the exact loss or gradient, about {value.n(3)}, is beyond double precision: there is "
            "nothing to compare"
        ) from None


def report(problem: Problem, tolerance: float) -> dict[str, Any]:
    """Every route's answer, how far each is from the exact one, and whether all agree.

    A difference counts relative to the exact number (in gradients, to the largest entry), or to the
    loss of predicting zero where that is larger: at a minimum both are zero.
    """
    tasks = problem.tasks
    reference, fraction = exact(problem)
    assert reference.loss is not None
    floor = 0.5 * (tasks.x_cov * (tasks.theta_mean**2 + tasks.theta_cov) + tasks.noise_std**2)
    answers = {
        "closed_form": by_route(closed_form, problem),
        "autodiff": by_route(autodiff, problem),
        "finite_differences": finite_differences(problem),
    }
    found: dict[str, Any] = {"exact": reference.loss, "exact_grad": reference.grad}
    found["exact_fraction"] = fraction
    agree = True
    for name, answer in answers.items():
        limit = tolerance
        if name == "finite_differences":
            limit = max(tolerance, FINITE_DIFFERENCE_TOLERANCE)
        else:
            found[name] = answer.loss
            found[f"{name}_error"] = _distance([answer.loss], [reference.loss], floor)
            agree &= found[f"{name}_error"] <= limit
        found[f"{name}_grad"] = answer.grad
        found[f"{name}_grad_error"] = _distance(answer.grad, reference.grad, floor)
        agree &= found[f"{name}_grad_error"] <= limit
    return found | {
        "tolerance": tolerance,
        "finite_differences_tolerance": max(tolerance, FINITE_DIFFERENCE_TOLERANCE),
        "agree": agree,
    }


def _distance(values: list[Any], reference: list[float], floor: Any) -> float:
    scale = max(float(floor), *(abs(x) for x in reference))
    distance = float(np.max(np.abs(np.subtract(values, reference)))) / scale
    return distance if np.isfinite(distance) else float("inf")


@click.command(name="check", context_settings={"default_map": {"weights": "0.7,-0.9"}})
@problem_options
@click.option(
    "--tolerance",
    type=float,
    default=1e-10,
    show_default=True,
    help="Relative disagreement allowed, of the loss and of its gradient.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, full precision.")
def command(tolerance: float, as_json: bool, **flags: Any) -> None:
    """Compute one loss and gradient by four routes, and fail unless they agree.

    \b
    closed_form         the package's formulas, with a Gauss rule that is exact for them
    autodiff            jax.grad through the inner loop, and through that again
    finite_differences  the gradient from eight values of the closed form a weight
    exact               rational arithmetic on the expanded polynomial; nothing is rounded

    Each is compared with the exact answer, relative to its size or, where that is larger, to the
    loss of predicting zero. Finite differences are held to 1e-6 or --tolerance, whichever is
    looser. Numbers are read as written: 0.1 is one tenth. The exit status is 0 if all agree and 3
    if they do not. Settings whose polynomial is too large to expand are refused.

    \b
    Examples:
      toylin check
      toylin check --weights 0.7,-0.9,1.1 --steps 2 --theta-mean 0.3 --noise-std 0.2 --shots 5
    """
    use_float64()
    start = time.perf_counter()
    if not 0 < tolerance < 1:
        raise ValueError(f"--tolerance must be between 0 and 1, got {tolerance!r}")
    if flags["first_order"]:
        raise ValueError(
            "--first-order: a first-order gradient is not the gradient of the loss, so finite "
            "differences and exact arithmetic have nothing to say about it; see toylin loss"
        )
    found = report(make_problem(flags), tolerance)
    if as_json:
        click.echo(json.dumps({key: finite(value) for key, value in found.items()}))
    else:
        _print_table(found)
        click.echo(f"\nnothing written; done in {time.perf_counter() - start:.1f} s")
    if not found["agree"]:
        raise click.exceptions.Exit(DISAGREE)


def _print_table(found: dict[str, Any]) -> None:
    layers = len(found["exact_grad"])
    head = "".join(f"{f'd/dw{i + 1}':>24}" for i in range(layers))
    click.echo(f"{'route':<20}{'loss':>24}{head}{'loss off by':>14}{'grad off by':>14}")
    for route in ("closed_form", "autodiff", "finite_differences", "exact"):
        numbers = [found.get(route), *found[f"{route}_grad"]]
        errors = [found.get(f"{route}_error"), found.get(f"{route}_grad_error")]
        click.echo(
            f"{route:<20}"
            + "".join(f"{'-' if x is None else f'{x:.16g}':>24}" for x in numbers)
            + "".join(f"{'-' if x is None else f'{x:.1e}':>14}" for x in errors)
        )
    if len(found["exact_fraction"]) <= 60:
        click.echo(f"\nexact loss: {found['exact_fraction']}")
    limits = (
        f"within {found['tolerance']:g} (finite differences: "
        f"{found['finite_differences_tolerance']:g})"
    )
    if found["agree"]:
        click.secho(f"\nall four agree {limits}", fg="green")
    else:
        click.secho(f"\nthe routes do NOT agree {limits}", fg="red")
