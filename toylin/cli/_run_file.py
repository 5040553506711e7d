"""Where ``toylin train`` saves a run: a name that tells what was trained, and that is free."""

from __future__ import annotations

from itertools import chain, count
from pathlib import Path
from typing import Any, NamedTuple

DONE = "num_steps_done"  # the setting that a run has which was stopped before its num_steps
_FOLDER = Path("runs")
_USUAL = {"tasks": "regression", "model": "linear"}  # which go without saying


class Place(NamedTuple):
    """Where a run goes: a folder, and the file in it that was named, or None."""

    folder: Path
    named: Path | None


def place(out: Path | None) -> Place:
    """The place that ``--out`` says: a file, a folder or nothing.

    A name without .npz gets it, as with NumPy, since ``toylin runs`` looks for that.
    """
    if out is None or out.is_dir():
        return Place(out or _FOLDER, None)
    return Place(out.parent, out if out.suffix == ".npz" else out.with_name(f"{out.name}.npz"))


def run_file(where: Place, settings: dict[str, Any], interrupted: bool = False) -> Path:
    """The file for a run: the one that was named, or a new one, which is there from now on.

    Args:
        where: the place for it. If no file was named, the settings name it.
        settings: of the run.
        interrupted: whether Ctrl-C ended it: such a run takes no other's place, but a new file
            beside the one that was named, if that is there.
    """
    name = _name(settings)
    if where.named is not None:
        if not (interrupted and where.named.exists()):
            return where.named
        name = f"{where.named.stem}-interrupted"
    names = chain([name], (f"{name}-{number}" for number in count(2)))
    return next(path for path in (where.folder / f"{name}.npz" for name in names) if _claim(path))


def _claim(path: Path) -> bool:
    """Take the name, if neither a run nor a picture has it; of two that ask at once, one does."""
    if path.with_suffix(".png").exists():
        return False
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _name(settings: dict[str, Any]) -> str:
    """Tasks and model where they are not the usual ones, then rule and depth."""
    unusual = [settings[name] for name, usual in _USUAL.items() if settings[name] != usual]
    return "-".join([*unusual, settings["rule"], f"depth{settings['depth']}"])
