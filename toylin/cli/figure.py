"""``toylin figure``: any figure by name."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shutil import get_terminal_size
from threading import Lock
from typing import Any

import click

from toylin._internal.compiling import compile_quickly
from toylin.cli._common import PATH, out_option, report, use_float64
from toylin.figures import BUDGETS, FIGURES, ON_IMAGES, headed, plan

_AT_ONCE = 2
_BAR = 60  # columns that a bar takes beside its label


def draw(names: Sequence[str], out: Path, root: Path | None = None, budget: str = "small") -> None:
    """Compute, draw and save each figure, with a progress bar; say of each what it shows."""
    from toylin._internal.files import prepare
    from toylin.figures._save import save

    prepare(out)
    compile_quickly()
    use_float64()
    plans = {
        name: plan(name, root if name in ON_IMAGES else None, budget)
        for name in dict.fromkeys(names)
    }
    label = f"drawing {', '.join(plans)}"
    if sys.stdout.isatty() and len(label) > get_terminal_size().columns - _BAR:
        label = f"drawing {len(plans)} figures"
    steps = sum(figure.steps + 1 for figure in plans.values())
    with (
        report() as written,
        click.progressbar(length=steps, label=label, show_pos=True) as bar,
        ThreadPoolExecutor(_AT_ONCE) as pool,
    ):
        lock = Lock()

        def tick() -> None:
            with lock:
                bar.update(1)

        # Compiling, which most of the time goes into, runs in several threads at once.
        computed = {name: pool.submit(_timed, p.compute, tick) for name, p in plans.items()}
        for name, (module, settings, *_) in plans.items():
            data, computing = computed[name].result()
            start = time.perf_counter()
            written += save(out, name, module.draw(data), data, settings, module.CAPTION)
            with lock:
                _say(out, name, module.CAPTION, computing + time.perf_counter() - start)
            tick()


def _timed(compute: Callable[..., Any], tick: Callable[[], None]) -> tuple[Any, float]:
    """What is computed, and the seconds that it took."""
    start = time.perf_counter()
    return compute(tick), time.perf_counter() - start


def _say(out: Path, name: str, caption: str, seconds: float) -> None:
    """What a figure shows, on a line of its own, also where a bar stands on this one."""
    over = "\r\x1b[K" if sys.stdout.isatty() else ""
    click.echo(f"{over}{name}, {seconds:.0f} s: {headed(caption)[0]} (caption: {out / name}.json)")


@click.command(name="figure")
@click.argument("names", nargs=-1, required=True, type=click.Choice(sorted(FIGURES)))
@click.option("--root", type=PATH, help="omniglot, convolutional: Omniglot's folder.")
@click.option(
    "--budget",
    type=click.Choice(BUDGETS),
    help="omniglot, convolutional: about ten minutes on two cores (small, the default), "
    "or for an accelerator.",
)
@out_option()
def command(names: tuple[str, ...], root: Path | None, budget: str | None, out: Path) -> None:
    """Draw figures by name, with the data behind each.

    Each figure is written as NAME.png, .svg and .pdf, its data as NAME.npz, and its settings,
    caption and versions as NAME.json.

    \b
    Examples:
      toylin figure loss_surface --out /tmp/figures
      toylin figure omniglot --root data --budget small
    """
    on_images = [name for name in names if name in ON_IMAGES]
    for flag, value in (("root", root), ("budget", budget)):
        if value is not None and not on_images:
            raise click.UsageError(f"--{flag} is for {' and '.join(ON_IMAGES)}, got {names[0]}")
    if on_images and root is None:
        raise click.UsageError(f"--root must be the folder of Omniglot, for {on_images[0]}")
    draw(names, out, root, budget or "small")
