"""Results on disk: a Zarr store that xarray opens, written a chunk at a time.

The variable ``computed`` says which runs are done. A chunk of it is written, by a rename, after all
else of that chunk has reached the disk: what it says is there is there, whatever happens next.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from toylin.sweeps._chunks import Chunk
from toylin.sweeps._dataset import VARIABLES, attributes, coordinates, run_dims, sizes, variables
from toylin.sweeps._describe import difference
from toylin.sweeps._plan import Plan

DONE = "computed"


class StoreError(OSError):
    """The store cannot be written; the message says why, and what is safe."""


def open_store(path: str | os.PathLike[str]) -> Any:
    """The results in a store, finished or not, as an ``xarray.Dataset``, read as it is used.

    Raises:
        ValueError: the folder holds no sweep.
    """
    import xarray

    from toylin.sweeps import _pictures  # noqa: F401  adds them to datasets

    path = Path(path)
    if stored_settings(path) is None:
        raise ValueError(f"store must be a folder written by a sweep, got {str(path)!r}")
    found = xarray.open_zarr(path, chunks=None, consolidated=True)
    # Coordinates that are no dimensions (a single seed, zipped fields) do not say that they are.
    return found.set_coords([n for n in found.data_vars if n not in (*VARIABLES, DONE)])


def stored_settings(path: Path) -> dict[str, Any] | None:
    """The settings that a store was made by; None where there is no store."""
    try:
        found = json.loads((path / ".zattrs").read_text())
        settings: dict[str, Any] = json.loads(found["settings"])
    except (FileNotFoundError, NotADirectoryError, KeyError, json.JSONDecodeError):
        return None
    return settings


def stored_block(path: Path) -> tuple[int, ...]:
    """The sides of the chunks that a store is written in, the seed's last."""
    found = json.loads((path / ".zattrs").read_text())
    return tuple(found["block"])


class Store:
    """A store open for writing, by this process alone.

    Raises:
        ValueError: the folder holds another sweep (the message names a difference), or something
            else.
        StoreError: another process is writing to it, or it cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str], plan: Plan, block: tuple[int, ...]) -> None:
        self.path = Path(path)
        self._plan = plan
        with self._errors():
            self._prepare(block)
            self._lock = _lock(self.path)
        self.block = stored_block(self.path)
        self._remove_partial()
        import zarr

        self._group: Any = zarr.open_group(self.path, mode="r+", zarr_format=2)

    def close(self) -> None:
        """Let another process write."""
        self._lock.close()

    def dataset(self) -> Any:
        """The results so far."""
        return open_store(self.path)

    def is_done(self, chunk: Chunk) -> bool:
        """Whether a chunk is on disk."""
        return (self.path / DONE / self._key(chunk)).exists()

    def write(self, where: tuple[slice, ...], arrays: dict[str, np.ndarray]) -> None:
        """Write one chunk: its variables, then the word that it is done."""
        corner = tuple(s.start // b for s, b in zip(where, self._sides(), strict=True))
        import zarr

        # Every chunk gets its file, also one of nothing but NaN or False.
        with self._errors(), zarr.config.set({"array.write_empty_chunks": True}):
            for name, values in arrays.items():
                self._group[name][where] = values
                self._sync(name, corner)
            self._group[DONE][where] = True
            self._sync(DONE, corner)

    def _sides(self) -> tuple[int, ...]:
        return self.block if self._plan.seed_is_axis else self.block[:-1]

    def _key(self, chunk: Chunk) -> str:
        corner = [a // b for a, b in zip(chunk.start, self.block, strict=True)]
        return _chunk_name(tuple(corner if self._plan.seed_is_axis else corner[:-1]))

    def _sync(self, name: str, corner: tuple[int, ...]) -> None:
        """Force one chunk of one variable to the disk."""
        zeros = (0,) * len(VARIABLES[name].extra) if name in VARIABLES else ()
        _fsync(self.path / name / _chunk_name((*corner, *zeros)))
        _fsync(self.path / name)

    def _prepare(self, block: tuple[int, ...]) -> None:
        settings = stored_settings(self.path)
        if settings is None:
            if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
                raise ValueError(
                    f"store must be a new folder or one written by a sweep, got {str(self.path)!r}"
                )
            _create(self.path, self._plan, block)
            return
        found = difference(settings, json.loads(json.dumps(self._plan.describe())))
        if found:
            raise ValueError(
                f"store {str(self.path)!r} holds another sweep: {found}; "
                "name another store, or remove this one"
            )

    def _remove_partial(self) -> None:
        """Remove files that a killed writer left half written."""
        for name in (*variables(self._plan), DONE):
            for left in (self.path / name).glob("*.partial"):
                left.unlink(missing_ok=True)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except StoreError:
            raise
        except OSError as error:
            reason = error.strerror or str(error)
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                reason += "; finished chunks are safe: make room and run the same command again"
            elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
                reason += "; choose a folder that can be written"
            raise StoreError(f"cannot write to store {str(self.path)!r}: {reason}") from error


def _chunk_name(corner: tuple[int, ...]) -> str:
    return ".".join(str(i) for i in corner) or "0"


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _lock(path: Path) -> Any:
    """Hold the store; the system lets go of it however this process ends."""
    try:
        import fcntl
    except ImportError:  # pragma: no cover (Windows has no flock)
        return open(path / ".lock", "a+")
    handle = open(path / ".lock", "a+")  # noqa: SIM115 (held for as long as the store is open)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.seek(0)
        owner = handle.read().strip() or "another process"
        handle.close()
        raise StoreError(f"store {str(path)!r} is being written by {owner}") from None
    handle.truncate(0)
    handle.write(f"process {os.getpid()} on {os.uname().nodename}")
    handle.flush()
    return handle


def _create(path: Path, plan: Plan, block: tuple[int, ...]) -> None:
    """Make an empty store beside ``path``, then put it there by one rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        _write_skeleton(temporary, plan, block)
        temporary.chmod(0o755)
        for file in temporary.rglob("*"):
            _fsync(file)
        os.replace(temporary, path)
        _fsync(path.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _write_skeleton(path: Path, plan: Plan, block: tuple[int, ...]) -> None:
    import zarr

    lengths, dims = sizes(plan), run_dims(plan)
    sides = dict(zip(dims, block, strict=False))
    group = zarr.create_group(
        path, zarr_format=2, attributes={**attributes(plan), "block": list(block)}
    )
    # Numbers that are missing read as NaN. A fill value for booleans would make xarray mask them.
    for name, about in variables(plan).items():
        over = (*dims, *about.extra)
        group.create_array(
            name,
            shape=tuple(lengths[d] for d in over),
            chunks=tuple(sides.get(d, lengths[d]) for d in over),
            dtype="bool" if about.boolean else plan.dtype,
            fill_value=None if about.boolean else np.nan,
            attributes={"_ARRAY_DIMENSIONS": list(over), **about.attributes},
        )
    group.create_array(
        DONE,
        shape=tuple(lengths[d] for d in dims),
        chunks=tuple(sides[d] for d in dims),
        dtype="bool",
        fill_value=None,
        attributes={"_ARRAY_DIMENSIONS": list(dims), "long_name": "whether the run is done"},
    )
    for name, (along, values, notes) in coordinates(plan).items():
        array = group.create_array(
            name,
            shape=values.shape,
            chunks=values.shape,
            dtype=values.dtype,
            fill_value=None,
            attributes={"_ARRAY_DIMENSIONS": list(along), **notes},
        )
        array[...] = values
    zarr.consolidate_metadata(path, zarr_format=2)
