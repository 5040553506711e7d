"""Where ``toylin train`` saves a run: a name that tells what was trained, and that is free."""

from __future__ import annotations

from itertools import chain, count
from pathlib import Path
from typing import Any

FOLDER = Path("runs")
DONE = "num_steps_done"  # the setting that a run has which was stopped before its num_steps
_USUAL = {"tasks": "regression", "model": "linear"}  # which go without saying


def run_folder(out: Path | None) -> Path:
    """The folder that a run goes into, where ``--out`` was a file, a folder or nothing."""
    if out is None:
        return FOLDER
    return out if out.is_dir() else out.parent


def run_file(out: Path | None, settings: dict[str, Any], interrupted: bool = False) -> Path:
    """The file for a run: the one that was named, or a new one, which is there from now on.

    Args:
        out: what was given as ``--out``. A name without .npz gets it, as with NumPy, since
            ``toylin runs`` looks for that. None, or a folder, leaves the name to the settings.
        settings: of the run.
        interrupted: whether Ctrl-C ended it: such a run takes no other's place, but a new file
            beside the one that was named, if that is there.
    """
    folder, name = run_folder(out), _name(settings)
    if out is not None and not out.is_dir():
        path = named_file(out)
        if not (interrupted and path.exists()):
            return path
        name = f"{path.stem}-interrupted"
    names = chain([name], (f"{name}-{number}" for number in count(2)))
    return next(path for path in (folder / f"{name}.npz" for name in names) if _claim(path))


def named_file(out: Path) -> Path:
    """The file that a name given as ``--out`` stands for."""
    return out if out.suffix == ".npz" else out.with_name(f"{out.name}.npz")


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
