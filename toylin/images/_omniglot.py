"""Omniglot: 1,623 characters of 50 alphabets, each drawn by 20 people."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from toylin._internal import checks
from toylin.images._fetch import fetch
from toylin.images._load import group, load, root_of
from toylin.images._source import Source, look
from toylin.tasks import ImageClasses

ADDRESS = "https://github.com/brendenlake/omniglot/raw/master/python"
# What its publisher offers, and the check sum of each.
_FILES = {
    "train": ("images_background", "md5:68d2efa1b9178cc56df9314c21c6e718"),
    "test": ("images_evaluation", "md5:6b91aef0f799c5bb55b94e3f2daec811"),
}


def omniglot(
    root: str | Path, split: str = "train", size: int = 28, *, download: bool = False
) -> ImageClasses:
    """Omniglot's characters, ink 255 on 0: the background set to train on, the evaluation to test.

    The two sets share no alphabet. Each character is a class, named ALPHABET/characterNN.

    Args:
        root: the folder that holds ``images_background.zip`` and ``images_evaluation.zip`` as they
            are published, or the folders that they unpack to.
        split: "train", 964 characters of 30 alphabets, or "test", 659 of 20.
        size: the side of the square to bring drawings to; as published it is 105.
        download: fetch what is missing from its publisher, 9 and 6 megabytes, to ``root``.

    Returns:
        The classes, of images of shape (size, size, 1).

    Raises:
        ValueError: the split is neither word, the files are not there, or one is damaged.

    Source: Lake, Salakhutdinov and Tenenbaum, "Human-level concept learning through probabilistic
    program induction", Science 2015.
    """
    checks.choice("split", split, _FILES)
    checks.flag("download", download)
    name, checksum = _FILES[split]
    if download:
        folder = checks.path("root", root).expanduser()
        if not any((folder / n).exists() for n in (name, f"{name}.zip")):
            fetch(f"{ADDRESS}/{name}.zip", checksum, folder)
    source = _find(root_of(root), name)
    classes = group(source.files, _character)
    if not classes:
        raise ValueError(
            f"root must hold Omniglot's drawings as {name}/ALPHABET/characterNN/*.png, but there "
            f"are none in {str(source.path)!r}"
        )
    return load(source, classes, f"omniglot-{split}", size, "grey", _ink)


def _find(root: Path, name: str) -> Source:
    for path in (root / f"{name}.zip", root / name):
        if path.exists():
            return look(path)
    raise ValueError(
        f"root must hold {name}.zip, or the folder that it unpacks to, got {str(root)!r}; "
        "download=True fetches it"
    )


def _character(name: str) -> str | None:
    parts = name.split("/")
    return "/".join(parts[-3:-1]) if len(parts) >= 3 else None


def _ink(images: np.ndarray) -> np.ndarray:
    return 255 - images
