"""``toylin figure``: any figure by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from toylin.cli._common import report, use_float64
from toylin.figures import FIGURES, load


def draw(names: Sequence[str], out: Path) -> None:
    """Compute, draw and save each figure, with a progress bar."""
    from toylin.figures._save import prepare, save

    use_float64()
    prepare(out)
    with report() as written:
        modules = {name: load(name) for name in names}
        steps = sum(module.STEPS + 1 for module in modules.values())
        with click.progressbar(length=steps, label="drawing", show_pos=True) as bar:
            for name, module in modules.items():
                data = module.compute(lambda: bar.update(1))
                written += save(out, name, module.draw(data), data, module.SETTINGS, module.CAPTION)
                bar.update(1)


out_option = click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("figures"),
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
