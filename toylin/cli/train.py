"""``toylin train``: meta-train a model, and what its rule learns, from the command line."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import click
import jax
import numpy as np

from toylin.cli._common import COUNT, FINITE, SEED, SHOTS, report, use_float64
from toylin.models import MAX_DEPTH, Params, init
from toylin.rules import RULES, Rule, make_rule, rule_options
from toylin.tasks import BinaryClassification, LinearRegression
from toylin.training import Run, SampledLoss, joint, loss_ends, meta_train, save_run, separate

# What a rule may take beyond its step size and number of steps: refused with one that does not.
_OPTIONS = {option for name in RULES for option in rule_options(name)}
_HELD = [name for name, rule in RULES.items() if not rule.learned]


def _option(name: str, default: Any, text: str, **more: Any) -> Any:
    return click.option(name, default=default, show_default=default is not None, help=text, **more)


@click.command(name="train")
@_option("--rule", "maml", "How the model adapts.", type=click.Choice(list(RULES)))
@_option(
    "--tasks",
    "regression",
    "Which tasks.",
    type=click.Choice(["regression", "classification"]),
)
@_option("--depth", 2, "Layers of the model; 1 is shallow.", type=click.IntRange(1, MAX_DEPTH))
@_option("--dim", 1, "Input dimension, and width of every hidden layer.", type=COUNT)
@_option("--shots", 10, "Support points a task, or the word population.", type=SHOTS)
@_option("--noise-std", None, "Label noise of regression; none by default.", type=FINITE)
@_option("--step-size", 0.1, "Inner step size.", type=FINITE)
@_option("--steps", 1, "Inner steps.", type=click.IntRange(0, 2**31 - 1))
@_option("--psd/--no-psd", None, "meta-kfo: factors as L'L and R'R (the default), or as L and R.")
@_option(
    "--adapt-transform/--hold-transform",
    None,
    "meta-kfo, nonlinear-kfo: whether the transform adapts within a task, too; held by default.",
)
@_option(
    "--hyper-step-size",
    None,
    "alpha-maml: the step size of the step size; 0 at first.",
    type=FINITE,
)
@_option(
    "--layers",
    None,
    "anil: which layers adapt, the head by default.",
    type=click.Choice(["head", "body"]),
)
@_option("--num-steps", 2000, "Meta-iterations.", type=COUNT)
@_option("--num-tasks", 32, "Tasks a meta-iteration.", type=COUNT)
@_option("--learning-rate", 0.01, "Adam's, for the model.", type=FINITE)
@_option(
    "--rule-learning-rate",
    None,
    "Adam's, for what the rule learns; 0 holds it. By default that of the model, "
    f"but 0 for {', '.join(_HELD)}.",
    type=FINITE,
)
@_option("--seed", 0, "Of the start and of the tasks.", type=SEED)
@_option("--out", "runs/run.npz", "File to write.", type=click.Path(path_type=Path))
def command(out: Path, **settings: Any) -> None:
    """Meta-train a model and its rule on sampled tasks, and save the run.

    The file holds the parameters, the rule, the loss at every iteration and the settings; read it
    with toylin.load_run, and compare it with others by toylin runs. Beside it goes a picture of the
    loss. A terminal shows iterations done, rate and time left.

    \b
    Examples:
      toylin train --rule meta-kfo --depth 1 --dim 4 --out runs/kfo.npz
      toylin train --rule maml --depth 2 --dim 4 --out runs/deep.npz
    """
    import optax

    from toylin._internal.files import prepare

    use_float64()
    prepare(out.parent)
    if settings["rule_learning_rate"] is None:
        learned = RULES[settings["rule"]].learned
        settings["rule_learning_rate"] = settings["learning_rate"] if learned else 0.0
    with report() as written:
        key_start, key_tasks = jax.random.split(jax.random.key(settings["seed"]))
        dim = settings["dim"]
        params = init(key_start, (*[dim] * settings["depth"], 1))
        rule = _rule(params, settings)
        loss = SampledLoss(tasks_of(settings), rule, settings["num_tasks"])
        optimizer = separate(
            optax.adam(settings["learning_rate"]), optax.adam(settings["rule_learning_rate"])
        )
        watched = sys.stderr.isatty()
        run = meta_train(
            *joint(loss, params), optimizer, settings["num_steps"], key_tasks, progress=watched
        )
        _check_finite(run)
        losses = np.asarray(run.loss)
        params, rule = run.params
        written.append(save_run(out, params, rule, losses, settings))
        written.append(_plot(out, losses, settings))
        ends = loss_ends(losses)
        click.echo(
            f"loss {ends.first:.6g} over the first tenth of the iterations, "
            f"{ends.last:.6g} over the last"
        )
    if run.interrupted:
        click.echo(f"stopped after {len(losses)} meta-iterations, which are saved", err=True)
        raise click.Abort
    click.echo(f"next: {shlex.join(['toylin', 'runs', str(out.parent)])}")


def _check_finite(run: Run) -> None:
    """A run that diverged, or was stopped before it began, is an error, and nothing is saved."""
    if not len(run.loss):
        raise click.Abort
    if not np.isnan(run.diverged_at):
        raise click.ClickException(
            f"the run diverged at meta-iteration {int(run.diverged_at)}: nothing is saved; try a "
            "smaller --learning-rate or --step-size"
        )


def _rule(params: Params, settings: dict[str, Any]) -> Rule:
    options = {name: settings[name] for name in _OPTIONS if settings.get(name) is not None}
    if settings["rule"] == "nonlinear-kfo":
        options["key"] = jax.random.key(settings["seed"])
    return make_rule(settings["rule"], params, settings["step_size"], settings["steps"], **options)


def tasks_of(settings: dict[str, Any]) -> LinearRegression | BinaryClassification:
    """The law of tasks that a run's settings state."""
    dim, shots, noise = settings["dim"], settings["shots"], settings["noise_std"]
    if settings["tasks"] == "regression":
        return LinearRegression(dim=dim, noise_std=noise or 0.0, shots=shots)
    if noise is not None:
        raise click.UsageError("--noise-std is for --tasks regression: labels are drawn, not noisy")
    return BinaryClassification(dim=dim, shots=shots)


def _plot(out: Path, losses: np.ndarray, settings: dict[str, Any]) -> Path:
    """The loss at every iteration, and its running mean, as OUT.png."""
    import io

    from toylin._internal.files import replace
    from toylin.plotting import COLUMN, DEEP, SHALLOW, new_figure, style, training_curve

    window = max(1, len(losses) // 50)
    colour = SHALLOW if settings["depth"] == 1 else DEEP
    with style():
        figure = new_figure(COLUMN, 2.2)
        axes = figure.add_subplot()
        training_curve(axes, np.arange(len(losses)), losses, colour, window=window)
        axes.set_yscale("log")
        axes.set_title(f"{settings['rule']}, depth {settings['depth']}", loc="left")
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=200)
    path = out.with_suffix(".png")
    replace(path, buffer.getvalue())
    return path
