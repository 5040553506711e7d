"""What was written where: a SHA-256 for every file of a store, as ``sha256sum --check`` reads it.

A list for the labels and descriptions, and one for every chunk, written after all files of that
chunk: the chunk is there if its list is, and right if the files are those that it lists.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from toylin._internal.errors import StoreError

FOLDER = ".checksums"
SKELETON = f"{FOLDER}/store"
MENDS = "the sweep that wrote it, called again, mends it"


def sha256(content: bytes) -> str:
    """The checksum of one file."""
    return hashlib.sha256(content).hexdigest()


def listing(files: Mapping[str, bytes]) -> bytes:
    """A list of checksums."""
    return "".join(f"{sha256(content)}  {name}\n" for name, content in files.items()).encode()


def read_listing(path: Path) -> dict[str, str]:
    """File -> checksum; nothing where there is no list."""
    try:
        lines = path.read_bytes().decode(errors="replace").split("\n")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return {}
    parts = (line.partition("  ") for line in lines)
    return {name: checksum for checksum, _, name in parts if name}


def faults(root: Path, where: str, names: Iterable[str]) -> Iterator[str]:
    """Of ``names``, which are not as the list ``where`` has them, in words."""
    listed = read_listing(root / where)
    if not listed:
        yield f"{where} is missing or empty"
        return
    for name in names:
        path = root / name
        if not path.is_file():
            yield f"{name} is missing"
            continue
        with open(path, "rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != listed.get(name):
                yield unlike(name, where)


def unlike(name: str, where: str) -> str:
    """That a file is not as a list has it."""
    return f"{name} does not match its checksum in {where}"


def in_short(found: list[str]) -> str:
    """The first of many faults, and how many there are."""
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return ", ".join(found[:3]) + more


def damaged(root: Path, found: list[str], lost: str, remedy: str = MENDS) -> StoreError:
    """The error of a store with such faults."""
    return StoreError(f"store {str(root)!r} is damaged: {in_short(found)}; {lost}; {remedy}")
