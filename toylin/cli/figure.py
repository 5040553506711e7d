"""``toylin figure``: any figure by name."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

import click

from toylin._internal.compiling import compile_quickly
from toylin.cli._common import report, use_float64
from toylin.figures import FIGURES, load

_AT_ONCE = 2


def draw(names: Sequence[str], out: Path) -> None:
    """Compute, draw and save each figure, with a progress bar."""
    from toylin._internal.files import prepare
    from toylin.figures._save import save

    prepare(out)
    compile_quickly()
    use_float64()
    modules = {name: load(name) for name in dict.fromkeys(names)}
    steps = sum(module.STEPS + 1 for module in modules.values())
    with (
        report() as written,
        click.progressbar(length=steps, label="drawing", show_pos=True) as bar,
        ThreadPoolExecutor(_AT_ONCE) as pool,
    ):
        lock = Lock()

        def tick() -> None:
            with lock:
                bar.update(1)

        # Compiling, which most of the time goes into, runs in several threads at once.
        computed = {name: pool.submit(m.compute, tick) for name, m in modules.items()}
        for name, module in modules.items():
            data = computed[name].result()
            written += save(out, name, module.draw(data), data, module.SETTINGS, module.CAPTION)
            tick()


out_option = click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("drawn"),
    show_default=True,
    help="Folder to write into; made if it is missing.",
)


@click.command(name="figure")
@click.argument("names", nargs=-1, required=True, type=click.Choice(sorted(FIGURES)))
@out_option
def command(names: tuple[str, ...], out: Path) -> None:
    """Draw figures by name, with the data behind each.

    Each figure is written as NAME.png, .svg and .pdf, its data as NAME.npz, and its settings,
    caption and versions as NAME.json.

    \b
    Example:
      toylin figure loss_surface --out /tmp/figures
    """
    draw(names, out)
