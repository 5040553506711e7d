"""``toylin check``: four routes to one number, and whether they agree."""

from __future__ import annotations

import json
import time
from typing import Any

import click

from toylin.checking import check_routes
from toylin.cli._common import FINITE, finite, use_float64
from toylin.cli._problem import make_problem, problem_options, stated

DISAGREE = 3


@click.command(name="check", context_settings={"default_map": {"weights": "0.7,-0.9"}})
@problem_options
@click.option(
    "--tolerance",
    type=FINITE,
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
    finite_differences  the gradient from values of the closed form around each weight
    exact               rational arithmetic on the expanded polynomial; nothing is rounded

    Each is compared with the exact answer, relative to its size or, where that is larger, to the
    loss of predicting zero. Finite differences are held to 1e-6 or --tolerance, whichever is
    looser; where their own rounding is larger than that they abstain, and the report says so.
    Numbers are read as written: 0.1 is one tenth. The exit status is 0 if all agree and 3 if they
    do not. Settings whose polynomial is too large to expand are refused.

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
    problem = make_problem(flags)
    report = check_routes(*problem, tolerance)
    if as_json:
        click.echo(json.dumps({key: finite(value) for key, value in report.as_dict().items()}))
    else:
        table, _, verdict = str(report).rpartition("\n")
        click.echo(f"{stated(problem)}\n")
        click.echo(table)
        click.secho(verdict, fg="green" if report.agree else "red")
        click.echo(f"\nnothing written; done in {time.perf_counter() - start:.1f} s")
    if not report.agree:
        raise click.exceptions.Exit(DISAGREE)
