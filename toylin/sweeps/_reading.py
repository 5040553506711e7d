"""A store opened for reading: described as a sweep describes, every file as it was written."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toylin._internal import checks
from toylin.sweeps._checksums import FOLDER, SKELETON, damaged, faults
from toylin.sweeps._layout import (
    ATTRIBUTES,
    DONE,
    METADATA,
    Layout,
    chunk_files,
    chunk_listing,
    is_chunked,
    read_layouts,
    sign,
    skeleton_files,
)


def open_store(path: str | os.PathLike[str], *, verify: bool = False) -> Any:
    """The results in a store, finished or not, as an ``xarray.Dataset``, read as it is used.

    Whatever is read is compared with the checksum that was written with it, when it is read.
    Nothing in a store can run code.

    Args:
        path: the folder.
        verify: compare everything at once.

    Returns:
        The results; ``computed`` says which runs are there.

    Raises:
        ValueError: the folder holds no sweep, or data of another kind than a sweep writes.
        StoreError: a file is missing or is not what was written.
    """
    import xarray

    from toylin.sweeps import _pictures  # noqa: F401  adds them to datasets
    from toylin.sweeps._checked import CheckedStore

    folder = checks.path("path", path)
    checks.flag("verify", verify)
    stored_attributes(folder)
    arrays = stored_layouts(folder)
    if verify and (
        found := [f for c in _chunks(folder, arrays) for f in chunk_faults(folder, arrays, c)]
    ):
        raise damaged(folder, found, "the runs of these chunks are lost")
    checked = CheckedStore(folder, read_only=True)
    dataset = xarray.open_zarr(checked, chunks=None, consolidated=True, zarr_format=2)
    # Coordinates that are no dimensions (a single seed, zipped fields) do not say that they are.
    return dataset.set_coords([n for n in dataset.data_vars if not is_chunked(str(n))])


def stored_attributes(path: Path, wanted: str = "a folder") -> dict[str, Any]:
    """What a store says of itself: settings, versions, the sides of its chunks.

    Raises:
        ValueError: there is no store.
        StoreError: there is one, and both places where it says so are damaged.
    """
    for name, inside in ((ATTRIBUTES, None), (METADATA, "metadata")):
        try:
            found = json.loads((path / name).read_bytes())
            found = found[inside][ATTRIBUTES] if inside else found
            if found == sign(found):
                return dict(found)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue
    if (path / SKELETON).exists():
        lost = "which sweep this is can no longer be told"
        found = [f"{name} is missing or has changed" for name in (ATTRIBUTES, METADATA)]
        raise damaged(path, found, lost, "restore one of the two, or begin another store")
    raise ValueError(f"store must be {wanted} written by a sweep, got {str(path)!r}")


def stored_layouts(path: Path) -> dict[str, Layout]:
    """The arrays of a store, all its labels and descriptions being what was written.

    Raises:
        ValueError: arrays of another kind than a sweep writes.
        StoreError: a file is missing or is not what was written.
    """
    found = [*faults(path, SKELETON, [METADATA])]
    if not found:
        try:
            arrays = read_layouts((path / METADATA).read_bytes())
        except ValueError as error:
            raise ValueError(
                f"store must be as a sweep writes it, got {str(path)!r}, where {error}"
            ) from None
        found = [*faults(path, SKELETON, skeleton_files(arrays))]
    if found:
        raise damaged(path, found, "its labels are not to be trusted")
    return arrays


def chunk_faults(path: Path, arrays: Mapping[str, Layout], corner: tuple[int, ...]) -> list[str]:
    """What is wrong with a chunk of runs that is said to be there, in words."""
    return [*faults(path, chunk_listing(corner), chunk_files(arrays, corner).values())]


def _chunks(path: Path, arrays: Mapping[str, Layout]) -> list[tuple[int, ...]]:
    """The chunks that are said to be there."""
    names = [file.name.split(".") for file in (path / FOLDER).iterdir()]
    dims = len(arrays[DONE].dims)
    return sorted(tuple(map(int, n))[:dims] for n in names if all(map(str.isdecimal, n)))
