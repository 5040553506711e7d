"""From a source to ``ImageClasses``: grouped, decoded, kept."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from toylin._internal import checks
from toylin.images._cache import cached
from toylin.images._decode import COLOURS, decode
from toylin.images._source import Source, reader
from toylin.tasks import ImageClasses

Classes = Mapping[str, Sequence[str]]


def load(
    source: Source,
    classes: Classes,
    name: str,
    size: int | None,
    colour: str,
    change: Callable[[np.ndarray], np.ndarray] | None = None,
) -> ImageClasses:
    """Decode the classes of a source, or read what an earlier call has kept.

    Args:
        source: where the files are.
        classes: the files of every class, at least one each.
        name: what to keep the result as.
        size: as for ``decode``.
        colour: as for ``decode``.
        change: made to the decoded array, where there is anything to change.
    """
    if size is not None:
        checks.integer("size", size, minimum=1, maximum=4096)
    checks.choice("colour", colour, COLOURS)
    where = str(source.path)

    def make() -> dict[str, np.ndarray]:
        _say(f"decoding {sum(map(len, classes.values())):,} images of {where}")
        with reader(source) as read:
            images, counts = decode(classes, read, where, size, colour)
        images = images if change is None else change(images)
        return {"images": images, "counts": counts, "names": np.array(list(classes), dtype=str)}

    folder = source.path.parent if source.path.is_file() else source.path
    full = f"{name}-{size or 'own'}-{colour}"
    found = cached(folder, full, f"{full} {source.stamp} {sorted(classes)}", make)
    counts, names = found["counts"], tuple(found["names"].tolist())
    ragged = np.any(counts < found["images"].shape[1])
    return ImageClasses(
        jnp.asarray(found["images"]), jnp.asarray(counts) if ragged else None, names
    )


def group(files: Sequence[str], class_of: Callable[[str], str | None]) -> dict[str, list[str]]:
    """The files of every class, both in order; files of the class None are left out."""
    found: dict[str, list[str]] = {}
    for name in files:
        which = class_of(name)
        if which is not None:
            found.setdefault(which, []).append(name)
    return dict(sorted(found.items()))


def root_of(root: str | Path) -> Path:
    """The folder that the user names."""
    path = checks.path("root", root).expanduser()
    if not path.exists():
        raise ValueError(f"root must be a folder that exists, got {str(path)!r}")
    return path


def _say(text: str) -> None:
    """To people who wait at a terminal."""
    if sys.stderr.isatty():
        print(text, file=sys.stderr)
