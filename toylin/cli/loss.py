"""``toylin loss``: one number by every route, side by side."""

from __future__ import annotations

import json
import time
from math import isfinite
from typing import Any

import click
import jax

from toylin import autodiff, closed_form
from toylin._internal.compiling import compile_quickly
from toylin.cli._common import SEED, finite, use_float64
from toylin.cli._problem import Problem, make_problem, problem_options, stated
from toylin.limits import estimate_value_and_grad, tails
from toylin.models import Params


def _flat(grads: Params) -> list[float]:
    return [float(g[0, 0]) for g in grads]


def routes(problem: Problem, num_tasks: int, seed: int) -> dict[str, Any]:
    """Every route's loss and gradient, and the tail diagnostics, as plain numbers."""
    sampled, sampled_grad = estimate_value_and_grad(*problem, jax.random.key(seed), num_tasks)
    tail = tails(*problem)
    exact, differentiated = (
        route.outer_value_and_grad(*problem) for route in (closed_form, autodiff)
    )
    layers: Any = sampled_grad
    return {
        "closed_form": float(exact[0]),
        "closed_form_grad": _flat(exact[1]),
        "autodiff": float(differentiated[0]),
        "autodiff_grad": _flat(differentiated[1]),
        "sampled": float(sampled.mean),
        "sampled_stderr": float(sampled.stderr),
        "sampled_grad": [float(g.mean[0, 0]) for g in layers],
        "sampled_grad_stderr": [float(g.stderr[0, 0]) for g in layers],
        "sampled_tasks": num_tasks,
        "median": float(tail.median),
        "divergence_probability": float(tail.divergence_probability),
        "tail_share": float(tail.tail_share),
        "tail_dominated": tail.dominated,
        "warning": tail.message() if tail.dominated or not isfinite(float(tail.mean)) else None,
    }


@click.command(name="loss")
@problem_options
@click.option(
    "--num-tasks",
    type=click.IntRange(2, 10**9),
    default=100_000,
    show_default=True,
    help="Tasks behind the sampled estimate.",
)
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of the sampled tasks.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, full precision.")
def command(num_tasks: int, seed: int, as_json: bool, **flags: Any) -> None:
    """The post-adaptation loss of a scalar model by every route, with its gradient.

    The model is f(x) = W_L ... W_1 x, tasks are y = theta x + noise, and the loss is half the mean
    squared error on a fresh point after --steps gradient steps on --shots points. closed_form is
    exact; autodiff differentiates through the inner loop over the same quadrature nodes; sampled
    averages random tasks. The tail diagnostics say whether the exact mean is typical.

    \b
    Example:
      toylin loss --weights 0.7,-0.9 --step-size 0.1 --theta-mean 0.3 --noise-std 0.2 --shots 5
    """
    compile_quickly(0)
    use_float64()
    start = time.perf_counter()
    problem = make_problem(flags)
    answer = routes(problem, num_tasks, seed)
    if as_json:
        click.echo(json.dumps({k: finite(v) for k, v in answer.items()}))
        return
    click.echo(f"{stated(problem)}\n")
    _print_table(answer)
    click.echo(f"\nnothing written; done in {time.perf_counter() - start:.1f} s")


def _print_table(answer: dict[str, Any]) -> None:
    layers = len(answer["closed_form_grad"])
    head = "".join(f"{f'd/dw{i + 1}':>22}" for i in range(layers))
    click.echo(f"{'route':<16}{'loss':>22}{head}")
    for route in ("closed_form", "autodiff", "sampled"):
        numbers = [answer[route], *answer[f"{route}_grad"]]
        click.echo(f"{route:<16}" + "".join(f"{x:>22.15g}" for x in numbers))
    errors = [answer["sampled_stderr"], *answer["sampled_grad_stderr"]]
    click.echo(f"{'  +- std. error':<16}" + "".join(f"{x:>22.2g}" for x in errors))
    click.echo(f"\n{answer['sampled_tasks']} sampled tasks; one task's loss after adaptation:")
    for key, label, form in (
        ("median", "  median                     ", ".4g"),
        ("divergence_probability", "  P(adaptation diverges)     ", ".2g"),
        ("tail_share", "  worst 0.1% carry           ", ".1%"),
    ):
        end = " of the exact mean" if key == "tail_share" else ""
        known = isfinite(answer[key])
        click.echo(label + (f"{answer[key]:{form}}{end}" if known else "beyond floats"))
    if answer["warning"]:
        click.secho(f"warning: {answer['warning']}", fg="yellow")
