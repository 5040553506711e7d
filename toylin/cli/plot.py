"""``toylin plot``: figures of results that are on disk."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import click
import numpy as np

from toylin.cli._common import PATH, out_option, report
from toylin.cli._group import Group


class _Plots(Group):
    """Told a store where the word for its kind belongs, it says that word."""

    def meant(self, ctx: click.Context, args: list[str]) -> str:
        """As of any group, but of stores."""
        store = Path(args[0])
        if store.suffix == ".zarr" or (store / ".zgroup").exists():
            return f"; did you mean {shlex.join(['toylin', 'plot', 'sweep', *args])}?"
        return super().meant(ctx, args)


@click.group(name="plot", cls=_Plots)
def command() -> None:
    """Draw results that a command has stored."""


@command.command(name="sweep")
@click.argument("store", type=PATH)
@click.option("--x", "across", help="Axis across; step_size, or the longest.")
@click.option("--y", "up", help="Axis up, and of the curves; depth, or the next longest.")
@click.option("--name", default="sweep", show_default=True, help="Name of the figure.")
@out_option()
def sweep(store: Path, across: str | None, up: str | None, name: str, out: Path) -> None:
    """Draw a stored sweep, finished or not: a phase diagram and convergence curves.

    Left, the final loss over two axes (the median over all others); hatched where adapting is no
    better than not adapting; over one axis a curve, with a dashed line for that. Right, the loss
    along meta-training, a colour for each value of the axis up (or of the only one) and a dash for
    each of another of up to six values: median and quartiles over what the panel says.

    \b
    Example:
      toylin plot sweep runs.zarr --x step_size --y depth --out /tmp/figures
    """
    from toylin._internal.files import prepare
    from toylin.figures._save import save
    from toylin.sweeps import open_store

    runs = open_store(store)
    try:
        dims = runs.toylin.dims(across, up)
    except ValueError as error:
        raise click.UsageError(f"--{error}") from None
    prepare(out)
    with report() as written:
        data = collect(runs, dims)
        caption = (
            f"Final loss over {' and '.join(dims)} (median over the rest; hatched, or above the "
            "dashed line: no better than not adapting), and the loss along meta-training: median "
            "and quartiles, over what the panel says, for each setting that its legend names."
        )
        settings = json.loads(runs.attrs["settings"])
        written += save(out, name, draw(runs, dims), data, settings, caption)


def collect(runs: Any, dims: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The arrays behind the figure; runs that are not there yet are left out."""
    values = {name: runs[dim].values for name, dim in zip("xy", dims, strict=False)}
    if dashed := runs.toylin.dashed(dims[-1]):
        values["dashes"] = runs[dashed].values
    return {
        **values,
        "final_loss": runs.toylin.final_loss(*dims),
        "unadapted_loss": np.asarray(runs.toylin.unadapted_loss()),
        "iteration": runs.iteration.values,
        "loss": runs.toylin.training_loss(dims[-1], dashed),
    }


def draw(runs: Any, dims: tuple[str, ...]) -> Any:
    """The final loss, and meta-training beside it."""
    from toylin.plotting import PAGE, hatching_legend, new_figure, style
    from toylin.sweeps._pictures import pooled

    with style():
        figure = new_figure(PAGE, 2.6)
        left, right = figure.subplots(1, 2)
        runs.toylin.plot(*dims, ax=left)
        if left.collections and len(dims) == 2:
            label = f"final loss{pooled(runs, 'median', *dims)}"
            figure.colorbar(left.collections[0], ax=left, label=label, extend="max")
        runs.toylin.plot_training(dims[-1], ax=right)
        hatching_legend(figure)
    return figure
