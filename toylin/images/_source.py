"""A tree of image files, in a folder or in a zip: their names, and the bytes of each."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
_MOST_BYTES = 2**28  # of one file: none that a camera makes is as large


class Source(NamedTuple):
    """Image files below one place.

    Attributes:
        path: the folder, or the zip.
        files: their paths below it, with slashes, in order.
        folders: paths of the folders that hold no file at all.
        stamp: a digest of names, sizes and times (of a zip, check sums): equal for equal contents.
    """

    path: Path
    files: tuple[str, ...]
    folders: tuple[str, ...]
    stamp: str


class Reader(Protocol):
    """What reads a file of a source by its name."""

    def __call__(self, name: str, /) -> bytes: ...


def look(path: Path) -> Source:
    """List what is there. A folder of one zip and no image stands for what is in the zip.

    Raises:
        ValueError: neither a folder nor a zip, or one that cannot be read.
    """
    try:
        if path.is_file():
            return _look_in_zip(path)
        found = _look_in_folder(path)
        zips = [] if found.files else [p for p in path.glob("*.zip") if not _hidden(p.name)]
        return _look_in_zip(zips[0]) if len(zips) == 1 else found
    except (OSError, zipfile.BadZipFile, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(
            f"root must be a folder or a zip of images, got {str(path)!r}: {reason}"
        ) from None


@contextmanager
def reader(source: Source) -> Iterator[Reader]:
    """A function that reads files of the source by name."""
    if source.path.is_file():
        with zipfile.ZipFile(source.path) as archive:
            yield archive.read
    else:
        yield lambda name: (source.path / name).read_bytes()


def _wanted(name: str) -> bool:
    parts = name.split("/")
    return not any(map(_hidden, parts)) and parts[-1].lower().endswith(SUFFIXES)


def _hidden(part: str) -> bool:
    """A name of the system's own; macOS leaves a ._NAME beside a NAME."""
    return part.startswith((".", "__MACOSX"))


def _look_in_zip(path: Path) -> Source:
    with zipfile.ZipFile(path) as archive:
        entries = [e for e in archive.infolist() if not e.is_dir() and _wanted(e.filename)]
    entries.sort(key=lambda e: e.filename)
    for entry in entries:
        if entry.file_size > _MOST_BYTES:
            raise ValueError(f"{entry.filename} in it would unpack to {entry.file_size:,} bytes")
    stamps = [f"{e.filename} {e.file_size} {e.CRC}" for e in entries]
    return Source(path, tuple(e.filename for e in entries), (), _digest(stamps))


def _look_in_folder(path: Path) -> Source:
    if not path.is_dir():
        raise ValueError("there is no such folder or file")
    stamps, empty = {}, []
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        below = Path(folder).relative_to(path).as_posix()
        found = [n if below == "." else f"{below}/{n}" for n in names]
        found = [name for name in found if _wanted(name)]
        if not found and not folders and below != ".":
            empty.append(below)
        for name in found:
            about = os.stat(path / name)
            stamps[name] = f"{name} {about.st_size} {about.st_mtime_ns}"
    files = tuple(sorted(stamps))
    return Source(path, files, tuple(empty), _digest([stamps[name] for name in files]))


def _digest(lines: list[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
