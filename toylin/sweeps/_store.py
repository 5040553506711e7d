"""Results on disk: a Zarr store that xarray opens, written a chunk at a time.

The list of a chunk's checksums is written, by a rename, after all files of that chunk have reached
the disk: what is listed is there, whatever happens next, and resuming trusts what matches its list.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from toylin._internal.errors import StoreError
from toylin._internal.files import flush, write_durably
from toylin.sweeps._checksums import in_short, listing
from toylin.sweeps._chunks import Chunk
from toylin.sweeps._code import NAME, undescribed
from toylin.sweeps._dataset import attributes
from toylin.sweeps._describe import difference
from toylin.sweeps._layout import (
    DONE,
    chunk_files,
    chunk_listing,
    layouts,
    sign,
    skeleton,
)
from toylin.sweeps._plan import Plan
from toylin.sweeps._reading import chunk_faults, stored_attributes

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


class Store:
    """A store open for writing, by this process alone.

    A damaged one is mended: its labels at once, its chunks by being computed again.

    Raises:
        ValueError: the folder holds another sweep (the message names a difference), or something
            else; or the sweep cannot be described exactly.
        StoreError: another process is writing to it, or it cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str], plan: Plan, block: tuple[int, ...]) -> None:
        self.path = Path(path)
        self._plan = plan
        settings = _exact(plan)
        with self._errors():
            if not self.path.exists() or (self.path.is_dir() and not any(self.path.iterdir())):
                about = sign({**attributes(plan), "block": [*block]})
                _create(self.path, skeleton(plan, block, about))
            self._agree(settings, stored_attributes(self.path, "a new folder or one"))
            self._lock = _lock(self.path)
            try:
                self._mend(stored_attributes(self.path))
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        """Let another process write."""
        self._lock.close()

    def todo(self, chunks: Sequence[Chunk]) -> list[bool]:
        """Of every chunk, whether it is to be computed; those that are damaged are named."""
        found: list[str] = []
        answer = []
        for chunk in chunks:
            corner = self._corner(chunk)
            files, listed = chunk_files(self._arrays, corner), self.path / chunk_listing(corner)
            begun = listed.exists() or (self.path / files[DONE]).exists()
            wrong = chunk_faults(self.path, self._arrays, corner) if begun else []
            if wrong:  # unlisted first, so that nobody reads what is being replaced
                listed.unlink(missing_ok=True)
            found += wrong
            answer.append(bool(wrong) or not begun)
        if found:
            self._warn(f"is damaged: {in_short(found)}; these chunks are computed again")
        return answer

    def write(self, chunk: Chunk, arrays: Mapping[str, np.ndarray]) -> None:
        """Write one chunk: its variables, the word that it is done, their checksums."""
        corner = self._corner(chunk)
        names = chunk_files(self._arrays, corner)
        some = next(iter(arrays.values()))
        done = np.ones(some.shape[: len(corner)], bool)
        files = {
            names[name]: self._arrays[name].content(values)
            for name, values in {**arrays, DONE: done}.items()
        }
        with self._errors():
            self._check_held()
            self._write(files)
            self._write({chunk_listing(corner): listing(files)})

    def _write(self, files: Mapping[str, bytes]) -> None:
        for name, content in files.items():
            write_durably(self.path / name, content)
        for folder in {(self.path / name).parent for name in files}:
            flush(folder)

    def _corner(self, chunk: Chunk) -> tuple[int, ...]:
        corner = [a // b for a, b in zip(chunk.start, self.block, strict=True)]
        return tuple(corner if self._plan.seed_is_axis else corner[:-1])

    def _agree(self, settings: Any, stored: Mapping[str, Any]) -> None:
        found = difference(json.loads(stored["settings"]), json.loads(json.dumps(settings)))
        if found:
            raise ValueError(
                f"store {str(self.path)!r} holds another sweep: {found}; "
                "name another store, or remove this one"
            )

    def _mend(self, stored: dict[str, Any]) -> None:
        """Have all files but those of chunks as they must be, and note who is writing now."""
        self.block: tuple[int, ...] = tuple(stored["block"])
        self._arrays = layouts(self._plan, self.block)
        wanted = skeleton(self._plan, self.block, stored)
        if found := self._restore(wanted):
            self._warn(f"is damaged: {in_short(found)}; written anew")
        for left in self.path.glob("*/*.partial"):  # of a writer that was killed
            left.unlink(missing_ok=True)
        began, now = (about["versions"] for about in (stored, attributes(self._plan)))
        if began != now:
            self._warn(f"was begun with {began} and goes on with {now}: numbers may differ")
            later = sorted({*stored.get("resumed_with", ()), now})
            if later != stored.get("resumed_with"):
                about = sign({**stored, "resumed_with": later})
                self._restore(skeleton(self._plan, self.block, about))

    def _restore(self, wanted: Mapping[str, bytes]) -> list[str]:
        """Write those of the files that are not as ``wanted``; say which."""
        found = []
        for name, content in wanted.items():
            path = self.path / name
            if not path.is_file() or path.read_bytes() != content:
                found.append(f"{name} is missing or has changed")
                path.parent.mkdir(exist_ok=True)
                self._write({name: content})
        return found

    def _warn(self, what: str) -> None:
        warnings.warn(f"store {str(self.path)!r} {what}", stacklevel=2)

    def _check_held(self) -> None:
        """The folder is still the one that was locked: not moved, removed or replaced."""
        if not os.path.samestat(os.fstat(self._lock.fileno()), os.stat(self.path / ".lock")):
            raise FileNotFoundError

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except StoreError:
            raise
        except OSError as error:
            reason = error.strerror or str(error)
            if error.errno in _FULL:
                reason += "; finished chunks are safe: make room and run the same command again"
            elif error.errno in _FORBIDDEN:
                reason += "; choose a folder that can be written"
            elif error.errno in (errno.EEXIST, errno.ENOTDIR):
                reason = "a file stands where a folder must be"
            elif isinstance(error, FileNotFoundError) and hasattr(self, "_lock"):
                reason = (
                    "it was moved or removed while it was written; finished chunks are where it is "
                    "now: name it there, and run the same command again"
                )
            raise StoreError(f"cannot write to store {str(self.path)!r}: {reason}") from error


def _exact(plan: Plan) -> Any:
    """The settings, if they say all that decides the numbers."""
    settings = plan.describe()
    if found := undescribed(settings):
        where, name, why = found
        raise ValueError(
            f"store must be of a sweep that can be described exactly, and {where}, {name!r}, "
            f"cannot: it holds {why}. Give it a name that changes whenever it does: "
            f"{name.rpartition('.')[2]}.{NAME} = 'mine-1'"
        )
    return settings


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


def _create(path: Path, files: Mapping[str, bytes]) -> None:
    """Make an empty store beside ``path``, then put it there by one rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        temporary.chmod(0o755)
        for folder in {(temporary / name).parent for name in files}:
            folder.mkdir(exist_ok=True)
        for name, content in files.items():
            write_durably(temporary / name, content)
        for folder in (temporary, *(p for p in temporary.iterdir() if p.is_dir())):
            flush(folder)
        os.replace(temporary, path)
        flush(path.parent)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        made = isinstance(error, OSError) and error.errno in (errno.ENOTEMPTY, errno.EEXIST)
        if not made:  # by another process, a moment before
            raise
