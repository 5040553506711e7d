"""``toylin teaser``: the figures that make the paper's point."""

from __future__ import annotations

from pathlib import Path

import click

from toylin.cli._common import out_option
from toylin.cli.figure import draw
from toylin.figures import TEASER


@click.command(name="teaser")
@out_option()
def command(out: Path) -> None:
    """Redraw the paper's point: three figures and the data behind each.

    \b
    loss_surface   the exact loss over the two weights of a deep model, its critical points and
                   meta-training trajectories; beside it the shallow model and its floor
    teaser         shallow against deep: linear regression, and binary classification
    depth          one to six layers, and the inner step sizes at which depth helps

    Each is written as NAME.png, .svg and .pdf, its data as NAME.npz, and its settings, caption and
    versions as NAME.json. On one machine two runs write the same data, bit for bit.
    """
    draw(TEASER, out)
