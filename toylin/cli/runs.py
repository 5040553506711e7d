"""``toylin runs``: saved runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np

from toylin.cli._common import PATH, report, use_float64, with_error
from toylin.cli._run_file import DONE
from toylin.cli._training_tasks import toy_tasks
from toylin.limits import LEVELS, levels_reached, reference_losses
from toylin.rules import MAML
from toylin.training import (
    Ends,
    SavedRun,
    differing_settings,
    load_runs,
    loss_ends,
    plot_together,
)

_WITHOUT_RULE = ("no adaptation", "Bayes")  # levels that no rule of adaptation can move
_FEWEST = 5  # records in the last tenth of a run whose level can be told
_WORDS = ("tasks", "model", "rule")  # settings whose values say which setting they are of


@click.command(name="runs")
@click.argument("folder", type=PATH)
@click.option(
    "--plot",
    "picture",
    type=PATH,
    help="Draw their losses together, into this file: .png, .svg or .pdf.",
)
def command(folder: Path, picture: Path | None) -> None:
    """List the saved runs in a folder side by side, and plot them together.

    A line a run: the settings in which they differ, the loss over the first and the last tenth of
    its records, loss and accuracy on unseen tasks where they were measured, and the levels that the
    last records are at or below (within 1 % of the first and two standard errors): the lowest
    loss without adaptation, that of any learner (Bayes), and for MAML the floors of one layer and
    of two scalar layers; for runs of toylin train on regression. A level is n/a where it has no
    closed form for the run, so that nothing is said of it, and no level is given where the last
    tenth is fewer than 5 records. A run that was stopped shows what it did of its num_steps.

    \b
    Examples:
      toylin runs runs
      toylin runs runs --plot runs/together.png
    """
    if picture is not None and picture.suffix not in (".png", ".svg", ".pdf"):
        raise click.UsageError(f"--plot must end in .png, .svg or .pdf, got {str(picture)!r}")
    use_float64()
    runs, damaged = load_runs(folder)
    for message in damaged.values():
        click.echo(f"toylin: {message}", err=True)
    if not runs:
        raise ValueError(f"folder must hold a saved run that can be read, got {str(folder)!r}")
    levels = {name: _levels(run) for name, run in runs.items()}
    for line in _lines(_table(runs, levels)):
        click.echo(line)
    if picture is not None:
        with report() as written:
            written.append(_draw(runs, levels, picture))


def _levels(run: SavedRun) -> dict[str, float]:
    """What the run is read against; nothing where its settings do not state regression tasks."""
    try:
        tasks: Any = toy_tasks(run.settings)
        if _held_to_floors(run):
            return reference_losses(tasks, run.rule)
        unadapted = reference_losses(tasks, MAML(0.0))
    except (KeyError, TypeError, ValueError, click.UsageError):
        return {}
    return {name: level for name, level in unadapted.items() if name in _WITHOUT_RULE}


def _held_to_floors(run: SavedRun) -> bool:
    """Floors are those of MAML, on linear models."""
    return run.settings.get("model", "linear") == "linear" and isinstance(run.rule, MAML)


def _table(runs: dict[str, SavedRun], levels: dict[str, dict[str, float]]) -> list[list[str]]:
    differing = _differing(runs)
    tests = {name: _measured(runs, name) for name in ("test_loss", "test_accuracy")}
    tests = {name: column for name, column in tests.items() if any(column)}
    heads = [name.replace("_", " ") for name in tests]
    rows = [["run", *differing, "first loss", "last loss", *heads, "at or below"]]
    for k, (name, run) in enumerate(runs.items()):
        ends = loss_ends(run.loss)
        settings = [column[k] for column in differing.values()]
        measured = [column[k] or "-" for column in tests.values()]
        losses = f"{ends.first:.4g}", f"{ends.last:.4g}"
        rows.append([name, *settings, *losses, *measured, _reached(ends, levels[name])])
    return rows


def _reached(ends: Ends, levels: dict[str, float]) -> str:
    """The levels that a run has reached, and those that it cannot be held against."""
    if not levels:
        return "-"
    if ends.records < _FEWEST:
        return "too few records"
    reached = ", ".join(levels_reached(ends.last, levels, ends.error)) or "none"
    missing = ", ".join(name for name in LEVELS if name not in levels)
    return f"{reached} ({missing}: n/a)" if missing else reached


def _measured(runs: dict[str, SavedRun], name: str) -> list[str]:
    """A result of every run with its standard error, or nothing."""
    found = [(run.results.get(name), run.results.get(f"{name}_stderr")) for run in runs.values()]
    return ["" if value is None else with_error(value, error) for value, error in found]


def _differing(runs: dict[str, SavedRun]) -> dict[str, list[str]]:
    """In words the settings that differ, and what was done where a run was stopped."""
    told = {name: run._replace(settings=_with_done(run.settings)) for name, run in runs.items()}
    columns = differing_settings(told)
    if any(DONE in run.settings for run in runs.values()):  # one alone, or several stopped alike
        columns["num_steps"] = [run.settings.get("num_steps") for run in told.values()]
    return {name: [_shown(name, value) for value in column] for name, column in columns.items()}


def _with_done(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings with "1 of 2000" as num_steps where Ctrl-C ended the run."""
    rest = {name: value for name, value in settings.items() if name != DONE}
    if DONE not in settings:
        return rest
    return rest | {"num_steps": f"{settings[DONE]} of {settings.get('num_steps', '?')}"}


def _shown(setting: str, value: Any) -> str:
    if value is None:
        return "population" if setting == "shots" else "-"
    return " ".join(str(value).split())


def _lines(rows: list[list[str]]) -> list[str]:
    """The rows, each column as wide as its widest entry."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(entry.ljust(width) for entry, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _draw(runs: dict[str, SavedRun], levels: dict[str, dict[str, float]], picture: Path) -> Path:
    """The losses in one picture, with the levels that they have in common."""
    from toylin._internal.files import prepare, replace
    from toylin.plotting import PAGE, new_figure, render, style

    prepare(picture.parent)
    drawable = {name: run for name, run in runs.items() if np.size(run.loss)}
    labels = _labels(drawable)
    with style():
        figure = new_figure(PAGE, 3.4)
        named = {labels[name]: run for name, run in drawable.items()}
        plot_together(named, figure.add_subplot(), references=_common(runs, levels))
    replace(picture, render(figure, picture.suffix[1:]))
    return picture


def _common(runs: dict[str, SavedRun], levels: dict[str, dict[str, float]]) -> dict[str, float]:
    """The levels on which all runs agree, and of the floors, MAML's, all runs by MAML."""
    by_maml = {name: found for name, found in levels.items() if _held_to_floors(runs[name])}
    common = {}
    for level in LEVELS:
        among = levels if level in _WITHOUT_RULE else by_maml
        values = [found.get(level, np.nan) for found in among.values()]
        if values and np.allclose(values, values[0], rtol=1e-9, atol=0):
            common[level if len(among) == len(runs) else f"{level}, MAML"] = values[0]
    return common


def _labels(runs: dict[str, SavedRun]) -> dict[str, str]:
    """For each run a text for the legend: its name, and what tells it apart that the name omits."""
    told: dict[str, list[str]] = {}
    rows: list[tuple[str, ...]] = [()] * len(runs)
    for setting, shown in _differing(runs).items():
        finer = [(*row, value) for row, value in zip(rows, shown, strict=True)]
        if len({*finer}) > len({*rows}):
            rows, told[setting] = finer, shown
    labels = {}
    for k, name in enumerate(runs):
        values = ((setting, shown[k]) for setting, shown in told.items() if shown[k] != "-")
        words = [value if setting in _WORDS else f"{setting} {value}" for setting, value in values]
        omitted = [word for word in words if word.replace(" ", "") not in name]
        labels[name] = f"{name} ({', '.join(omitted)})" if omitted else name
    return labels
