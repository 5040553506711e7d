"""``toylin plot``: figures of results that are on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import numpy as np

from toylin.cli._common import report
from toylin.cli._group import Group


@click.group(name="plot", cls=Group)
def command() -> None:
    """Draw results that a command has stored."""


@command.command(name="sweep")
@click.argument("store", type=click.Path(path_type=Path))
@click.option("--x", "across", help="Axis across; step_size, or the longest.")
@click.option("--y", "up", help="Axis up, and of the curves; depth, or the next longest.")
@click.option("--name", default="sweep", show_default=True, help="Name of the figure.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("figures"),
    show_default=True,
    help="Folder to write into; made if it is missing.",
)
def sweep(store: Path, across: str | None, up: str | None, name: str, out: Path) -> None:
    """Draw a stored sweep, finished or not: a phase diagram and convergence curves.

    Left, the final loss over two axes (the median over all others); hatched where adapting is no
    better than not adapting. Right, the loss along meta-training: median and quartiles for each
    value of the axis up.

    \b
    Example:
      toylin plot sweep runs.zarr --x step_size --y depth --out /tmp/figures
    """
    from toylin._internal.files import prepare
    from toylin.figures._save import save
    from toylin.sweeps import open_store

    ds = open_store(store)
    prepare(out)
    dims = _choose(ds, across, up)
    with report() as written:
        data = collect(ds, *dims)
        caption = (
            f"Final loss over {' and '.join(dims)} (median over the rest; hatched: no better than "
            "not adapting), and the loss along meta-training, median and quartiles."
        )
        figure = draw(data, *dims)
        settings = json.loads(ds.attrs["settings"])
        written += save(out, name, figure, data, settings, caption)


def _choose(ds: Any, across: str | None, up: str | None) -> tuple[str, ...]:
    dims = [d for d in ds.computed.dims if d != "seed"]
    for flag, name in (("--x", across), ("--y", up)):
        if name is not None and name not in dims:
            raise click.UsageError(f"{flag} must be one of {', '.join(dims)}, got {name!r}")
    numbers = [d for d in dims if ds[d].dtype.kind in "fiu"]
    longest = sorted(numbers, key=lambda d: (d != "step_size", -ds.sizes[d]))
    x = across or next((d for d in longest if d != up), dims[0])
    rest = sorted((d for d in dims if d != x), key=lambda d: (d != "depth", -ds.sizes[d]))
    y = up or next(iter(rest), None)
    return (x,) if y is None else (x, y)


def collect(ds: Any, x: str, y: str | None = None) -> dict[str, np.ndarray]:
    """The arrays behind the figure; runs that are not there yet are left out."""
    ds = ds[["final_loss", "unadapted_loss", "loss", "diverged", "computed"]]
    ds = ds.expand_dims("one") if y is None else ds
    y = y or "one"
    final = ds.final_loss.where(~ds.diverged, np.inf).where(ds.computed)
    bar = ds.unadapted_loss.where(ds.computed & np.isfinite(ds.unadapted_loss))
    others = [d for d in final.dims if d not in (x, y)]
    loss = ds.loss.where(ds.computed)
    stacked = loss.transpose(y, ..., "iteration").values
    return {
        "x": ds[x].values,
        "y": ds[y].values if y in ds.coords else np.zeros(1),
        "final_loss": final.median(others).transpose(y, x).values,
        "unadapted_loss": np.asarray(bar.min()),
        "iteration": ds.iteration.values,
        "loss": stacked.reshape(stacked.shape[0], -1, stacked.shape[-1]),
    }


def draw(data: dict[str, np.ndarray], x: str, y: str | None = None) -> Any:
    """A phase diagram (a line where one axis is swept) and convergence curves."""
    from toylin.figures._style import DEEP, PAGE, new_figure, style
    from toylin.figures._sweep import curves, phase

    final, bar = data["final_loss"], float(data["unadapted_loss"])
    positive = final[np.isfinite(final) & (final > 0)]
    if not positive.size:
        raise ValueError("store must hold at least one finished run that did not diverge")
    labels = [f"{v:g}" if isinstance(v, np.number) else str(v) for v in data["y"]]
    with style():
        figure = new_figure(PAGE, 2.5)
        left, right = figure.subplots(1, 2)
        if y is None:
            left.semilogy(data["x"], final[0], color=DEEP)
            left.set(xlabel=x, ylabel="final loss")
        else:
            low = max(float(positive.min()), 1e-6)
            high = max(2 * bar, 10 * low)
            rows = np.arange(len(labels))
            across = data["x"] if data["x"].dtype.kind in "fiu" else np.arange(data["x"].size)
            across = across if np.all(np.isfinite(across)) else np.arange(across.size)
            mesh = phase(left, across, rows, final, low, high, bar)
            left.set(xlabel=x, ylabel=y, yticks=rows, yticklabels=labels)
            figure.colorbar(mesh, ax=left, label="final loss", extend="max")
        groups = {
            label: runs[np.isfinite(runs[:, 0])]
            for label, runs in zip(labels, data["loss"], strict=True)
        }
        curves(right, data["iteration"], {k: v for k, v in groups.items() if v.size})
        right.set_ylabel("loss")
        if y is not None:
            right.legend(title=y, ncols=2)
    return figure
