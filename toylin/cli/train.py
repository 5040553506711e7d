"""``toylin train``: meta-train a model, and what its rule learns, from the command line."""

from __future__ import annotations

import dataclasses
import json
import shlex
import sys
from pathlib import Path
from typing import Any

import click
import jax
import numpy as np

from toylin._internal.compiling import keep_programs
from toylin.cli._common import COUNT, FINITE, PATH, SEED, finite, report, use_float64, with_error
from toylin.cli._run_file import DONE, place, run_file
from toylin.cli._training_tasks import COLLECTIONS, complete, task_options, training_of
from toylin.limits import Evaluation, evaluate
from toylin.models import Params
from toylin.rules import RULES, Rule, make_rule, rule_options
from toylin.training import Run, SampledLoss, joint, loss_ends, meta_train, save_run, separate

# What a rule may take beyond its step size and number of steps: refused with one that does not.
_OPTIONS = {option for name in RULES for option in rule_options(name)}
_HELD = [name for name, rule in RULES.items() if not rule.learned]


def _option(name: str, default: Any, text: str, **more: Any) -> Any:
    return click.option(name, default=default, show_default=default is not None, help=text, **more)


@click.command(name="train")
@_option("--rule", "maml", "How the model adapts.", type=click.Choice(list(RULES)))
@task_options
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
@_option("--num-tasks", None, "Tasks a meta-iteration: 32, on images 16.", type=COUNT)
@_option("--learning-rate", None, "Adam's, for the model: 0.01, on images 0.001.", type=FINITE)
@_option(
    "--rule-learning-rate",
    None,
    "Adam's, for what the rule learns; 0 holds it. By default that of the model, "
    f"but 0 for {', '.join(_HELD)}.",
    type=FINITE,
)
@_option("--seed", 0, "Of the start and of the tasks.", type=SEED)
@_option(
    "--test-tasks",
    None,
    "Fresh tasks to test on: on images 600, of classes not trained on; "
    "none by default on toy tasks.",
    type=click.IntRange(2, 2**31 - 1),
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, and all else aside.")
@_option(
    "--out",
    None,
    "File to write, .npz; one that exists is replaced, except by a run that Ctrl-C ended: that "
    "goes beside it, as NAME-interrupted.npz. By default, and in a folder, a new one that tells "
    "the run: runs/RULE-depthN.npz, then RULE-depthN-2.npz and so on.",
    type=PATH,
)
@click.pass_context
def command(ctx: click.Context, out: Path | None, as_json: bool, **settings: Any) -> None:
    """Meta-train a model and its rule on sampled tasks, and save the run.

    The file holds the parameters, the rule, the loss at every iteration and the settings; read it
    with toylin.load_run, and compare it with others by toylin runs. Beside it goes a picture of the
    loss. A terminal shows iterations done, rate and time left. On images, the trained model is
    tested on classes that it was not trained on.

    \b
    Examples:
      toylin train --rule meta-kfo --depth 1 --dim 4
      toylin train --rule maml --depth 2 --dim 4 --out runs/deep.npz
      toylin train --tasks omniglot --root data --widths 784,64,5 --num-steps 500
    """
    from toylin._internal.files import prepare

    given = {
        name
        for name in settings
        if ctx.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT
    }
    settings = complete(settings, given)
    if settings["rule_learning_rate"] is None:
        learned = RULES[settings["rule"]].learned
        settings["rule_learning_rate"] = settings["learning_rate"] if learned else 0.0
    if settings["tasks"] in COLLECTIONS:
        keep_programs()
    else:
        use_float64()
    where = place(out)
    prepare(where.folder)
    with report(aside=as_json) as written:
        run, found = _train(settings, as_json or sys.stderr.isatty())
        losses = np.asarray(run.loss, float)
        params, rule = run.params
        results = _results(found)
        if len(losses) < settings["num_steps"]:
            settings[DONE] = len(losses)
        out = run_file(where, settings, run.interrupted)
        written.append(save_run(out, params, rule, losses, settings, results=results))
        written.append(_plot(out, run, settings))
        ends = loss_ends(losses)
        if as_json:
            click.echo(json.dumps(_summary(out, ends, results, settings)))
        else:
            _say(ends, results)
    if run.interrupted:
        click.echo(_stopped(len(losses), where.named, out), err=True)
        raise click.Abort
    click.echo(f"next: {shlex.join(['toylin', 'runs', str(out.parent)])}", err=as_json)


def _train(settings: dict[str, Any], watched: bool) -> tuple[Run, Evaluation | None]:
    """The run, and how it does on unseen tasks."""
    import optax

    training = training_of(settings)
    key_start, key_tasks = jax.random.split(jax.random.key(settings["seed"]))
    params = training.start(key_start)
    rule = _rule(params, settings)
    sizes = settings["num_tasks"], settings["num_queries"]
    loss = SampledLoss(training.tasks, rule, *sizes, training.model)
    optimizer = separate(
        optax.adam(settings["learning_rate"]), optax.adam(settings["rule_learning_rate"])
    )
    run = meta_train(
        *joint(loss, params), optimizer, settings["num_steps"], key_tasks, progress=watched
    )
    _check_finite(run)
    if settings["test_tasks"] is None or run.interrupted:
        return run, None
    key = jax.random.fold_in(key_tasks, settings["num_steps"])
    params, rule = run.params
    unseen = training.unseen or training.tasks
    sizes = settings["test_tasks"], settings["num_queries"]
    try:
        return run, evaluate(params, unseen, rule, key, *sizes, training.model, progress=watched)
    except KeyboardInterrupt:
        return dataclasses.replace(run, interrupted=True), None  # what is trained is kept


def _stopped(done: int, named: Path | None, out: Path) -> str:
    """What became of a run that Ctrl-C ended, and of the file whose place it was to take."""
    said = f"stopped after {done} meta-iterations, which are saved in {out}"
    return said if named in (None, out) else f"{said}; {named} is left as it was"


def _summary(
    out: Path, ends: Any, results: dict[str, float], settings: dict[str, Any]
) -> dict[str, Any]:
    summary = {"run": str(out), "first_loss": ends.first, "last_loss": ends.last, **results}
    return {name: finite(value) for name, value in summary.items()} | {"settings": settings}


def _say(ends: Any, results: dict[str, float]) -> None:
    click.echo(
        f"loss {ends.first:.6g} over the first tenth of the iterations, "
        f"{ends.last:.6g} over the last"
    )
    for name in ("loss", "accuracy"):
        if f"test_{name}" in results:
            mean = with_error(results[f"test_{name}"], results[f"test_{name}_stderr"])
            click.echo(f"{name} on unseen tasks {mean}")


def _results(found: Evaluation | None) -> dict[str, float]:
    """What was measured on unseen tasks, with standard errors."""
    results = {}
    for name, test in ({} if found is None else found._asdict()).items():
        if test is not None:
            results[f"test_{name}"] = float(test.mean)
            results[f"test_{name}_stderr"] = float(test.stderr)
    return results


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


def _plot(out: Path, run: Run, settings: dict[str, Any]) -> Path:
    """The loss at every iteration, and its running mean, as OUT.png."""
    from toylin._internal.files import replace
    from toylin.plotting import COLUMN, new_figure, render, style

    with style():
        figure = new_figure(COLUMN, 2.2)
        axes = figure.add_subplot()
        axes.set_yscale("log")
        run.plot(axes)
        title = f"{settings['model']}, {settings['rule']}, depth {settings['depth']}"
        axes.set_title(title, loc="left")
    path = out.with_suffix(".png")
    replace(path, render(figure, "png"))
    return path
