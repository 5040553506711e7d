"""Decoded images, kept: beside their source or, where that cannot be written, with the user's."""

from __future__ import annotations

import contextlib
import hashlib
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from toylin._internal.files import npz_bytes, read_npz, replace

_ARRAYS = ("images", "counts", "names")


def cached(
    folder: Path, name: str, stamp: str, make: Callable[[], dict[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """What ``make`` makes, read from a file where an earlier call has left it.

    A file is taken if its own check sum holds and it was made of the same source; else it is made
    anew. Where no file can be written, nothing is kept.

    Args:
        folder: where to keep it: the source's own folder.
        name: of the file, without suffix.
        stamp: of the source, and of all that the result depends on.
        make: makes the arrays ``images``, ``counts`` and ``names``.
    """
    key = hashlib.sha256(f"{folder.resolve()} {name}".encode()).hexdigest()[:16]
    places = [folder / f".toylin-{name}.npz", _of_user() / f"{name}-{key}.npz"]
    for place in places:
        found = _read(place, stamp)
        if found is not None:
            return found
    made = make()
    content = npz_bytes(
        {**made, "stamp": np.asarray(stamp), "digest": np.asarray(_digest(made))},
        zipfile.ZIP_STORED,
    )
    for place in places:
        with contextlib.suppress(OSError):
            place.parent.mkdir(parents=True, exist_ok=True)
            replace(place, content)
            break
    return made


def _read(place: Path, stamp: str) -> dict[str, np.ndarray] | None:
    try:
        found = read_npz(place)
        arrays = {name: found[name] for name in _ARRAYS}
        fits = str(found["stamp"]) == stamp and str(found["digest"]) == _digest(arrays)
    except (OSError, ValueError, KeyError):
        return None
    return arrays if fits else None


def _digest(arrays: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in _ARRAYS:
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(memoryview(array).cast("B"))
    return digest.hexdigest()


def _of_user() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("toylin")) / "images"
