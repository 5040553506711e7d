"""``toylin derive``: the expected loss, derived symbol by symbol."""

from __future__ import annotations

import time

import click

from toylin.symbolic import FORMATS, derive


@click.command(name="derive")
@click.option("--depth", type=int, default=2, show_default=True, help="Weights of the model, L.")
@click.option("--steps", type=int, default=1, show_default=True, help="Inner steps, T.")
@click.option(
    "--shots",
    type=click.Choice(["population", "K"]),
    default="population",
    show_default=True,
    help="Adapt on the population, or on K points (K stays a symbol).",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="text",
    show_default=True,
    help="Plain text, LaTeX, or a Python module that runs under JAX.",
)
@click.option(
    "--simplify",
    type=int,
    default=50,
    show_default=True,
    metavar="TERMS",
    help="Factor coefficients of at most that many terms; 0 leaves all expanded.",
)
def command(depth: int, steps: int, shots: str, form: str, simplify: int) -> None:
    """Derive the expected post-adaptation loss of a scalar model, every constant a symbol.

    The model is f(x) = w_L ... w_1 x, tasks are y = theta x + noise with theta ~ N(mu, tau^2),
    x ~ N(0, s^2) and noise ~ N(0, sigma^2), the inner step size is alpha. Shown are the adapted
    weights, the residual as a polynomial, the moments of theta that it needs, and the loss in
    them. The text goes to standard output, the time it took to standard error.

    \b
    Examples:
      toylin derive --depth 2 --shots K
      toylin derive --depth 1 --steps 3 --format latex
      toylin derive --depth 3 --format python > depth_3.py
    """
    start = time.perf_counter()
    derivation = derive(depth, steps, "K" if shots == "K" else None, simplify)
    click.echo(derivation.format(form).rstrip("\n"))  # type: ignore[arg-type]
    click.echo(f"nothing written; done in {time.perf_counter() - start:.1f} s", err=True)
