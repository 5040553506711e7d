"""``toylin loss``: one number by every route, side by side."""

from __future__ import annotations

import json
import time
from typing import Any, NamedTuple

import click
import jax
import jax.numpy as jnp

from toylin import autodiff, closed_form
from toylin.cli._common import compile_quickly, finite, use_float64
from toylin.cli._problem import Problem, make_problem, problem_options
from toylin.limits import tails
from toylin.models import Params
from toylin.tasks import Batch

_BLOCK = 10_000


class Estimate(NamedTuple):
    """A sampled mean and its standard error, for the loss and for each gradient."""

    loss: tuple[float, float]
    grad: tuple[list[float], list[float]]


def sampled(problem: Problem, num_tasks: int, seed: int) -> Estimate:
    """The outer loss and gradient by averaging sampled tasks, in blocks of bounded memory."""
    params, tasks, rule = problem

    def one(batch: Batch) -> jax.Array:
        task = jax.tree.map(lambda x: x[None], batch)
        loss, grad = jax.value_and_grad(autodiff.outer_loss)(params, task, rule)
        return jnp.concatenate([loss[None], *(g[0] for g in grad)])

    def block(total: tuple[jax.Array, jax.Array], key: jax.Array) -> Any:
        values = jax.vmap(one)(tasks.sample_moments(key, size))
        return (total[0] + values.sum(0), total[1] + (values**2).sum(0)), None

    blocks = -(-num_tasks // _BLOCK)
    size = -(-num_tasks // blocks)
    keys = jax.random.split(jax.random.key(seed), blocks)
    zero = jnp.zeros(1 + len(params))
    (first, second), _ = jax.jit(lambda k: jax.lax.scan(block, (zero, zero), k))(keys)
    count = blocks * size
    mean = first / count
    error = jnp.sqrt(jnp.maximum(second / count - mean**2, 0.0) / count)
    return Estimate((float(mean[0]), float(error[0])), (mean[1:].tolist(), error[1:].tolist()))


def _flat(grads: Params) -> list[float]:
    return [float(g[0, 0]) for g in grads]


def routes(problem: Problem, num_tasks: int, seed: int) -> dict[str, Any]:
    """Every route's loss and gradient, and the tail diagnostics, as plain numbers."""
    estimate = sampled(problem, num_tasks, seed)
    tail = tails(*problem)
    exact, differentiated = (
        jax.jit(lambda *p, route=route: (route.outer_loss(*p), route.outer_grad(*p)))(*problem)
        for route in (closed_form, autodiff)
    )
    return {
        "closed_form": float(exact[0]),
        "closed_form_grad": _flat(exact[1]),
        "autodiff": float(differentiated[0]),
        "autodiff_grad": _flat(differentiated[1]),
        "sampled": estimate.loss[0],
        "sampled_stderr": estimate.loss[1],
        "sampled_grad": estimate.grad[0],
        "sampled_grad_stderr": estimate.grad[1],
        "sampled_tasks": num_tasks,
        "median": float(tail.median),
        "divergence_probability": float(tail.divergence_probability),
        "tail_share": float(tail.tail_share),
        "tail_dominated": tail.dominated,
        "warning": tail.message() if tail.dominated else None,
    }


@click.command(name="loss")
@problem_options
@click.option(
    "--tasks",
    "num_tasks",
    type=click.IntRange(2),
    default=100_000,
    show_default=True,
    help="Tasks behind the sampled estimate.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the sampled tasks.")
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
    compile_quickly()
    use_float64()
    start = time.perf_counter()
    answer = routes(make_problem(flags), num_tasks, seed)
    if as_json:
        click.echo(json.dumps({k: finite(v) for k, v in answer.items()}))
        return
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
    click.echo(f"  median                     {answer['median']:.4g}")
    click.echo(f"  P(adaptation diverges)     {answer['divergence_probability']:.2g}")
    click.echo(f"  worst 0.1% carry           {answer['tail_share']:.1%} of the exact mean")
    if answer["warning"]:
        click.secho(f"warning: {answer['warning']}", fg="yellow")
