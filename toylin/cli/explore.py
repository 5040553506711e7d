"""``toylin explore``: one page on which to turn the problem's knobs."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from toylin.cli._common import PATH, report


@click.command(name="explore")
@click.option(
    "--out",
    type=PATH,
    default=Path("explorer.html"),
    show_default=True,
    help="File to write; its folder is made if it is missing.",
)
@click.option("--open", "show", is_flag=True, help="Open the page in the browser, too.")
def command(out: Path, show: bool) -> None:
    """Write a page that shows why depth helps, for any browser, with no network.

    Sliders set the inner step size, the depth, the shots and the label noise of scalar linear
    regression. The loss surface in 3-D (drag it, or press the arrow keys), meta-training
    trajectories (click for a start of your own), the loss after adaptation and a task's fitted line
    before and after each inner step follow, deep against shallow, and so does the boundary of a
    classifier. The page computes the exact expectations that closed_form.outer_loss does. Chapters
    lead through it, Present shows them to a class, and its address holds chapter and setting.

    \b
    Example:
      toylin explore --out explorer.html
      toylin explore --open
    """
    _check_writable(out)
    from toylin._internal.files import replace
    from toylin.explorer import page

    with report() as written:
        replace(out, page().encode())
        written.append(out)
    if show:
        _open(out)
    else:
        click.echo("next: open it in a browser, as --open does")


def _open(page: Path) -> None:
    """Open a file in the user's browser.

    Raises:
        click.ClickException: there is none that could be opened; the message has the address.
    """
    import webbrowser

    address = page.resolve().as_uri()
    try:
        opened = webbrowser.open(address)
    except webbrowser.Error:
        opened = False
    if not opened:
        raise click.ClickException(f"no browser could be opened; open {address} in one")


def _check_writable(out: Path) -> None:
    """Refuse a file that cannot be written, before any work.

    Raises:
        ValueError: the message says why.
    """
    why = "it is not a regular file" if out.exists() and not out.is_file() else None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out.parent):
            pass
    except OSError as error:
        why = error.strerror
    if why:
        raise ValueError(f"--out must be a file that can be written, got {str(out)!r}: {why}")
