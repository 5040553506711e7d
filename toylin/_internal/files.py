"""Files: written all or nothing, the same bytes every time."""

from __future__ import annotations

import io
import math
import os
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

_UNPACKED = 64 * 2**20  # bytes that a smaller file may unpack to


def prepare(out: Path) -> None:
    """Make the folder ``out`` and check that it can be written, before anything is computed."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise ValueError(
            f"--out must be a folder that can be written, got {str(out)!r}: {error.strerror}"
        ) from None


def npz_bytes(data: Mapping[str, np.ndarray], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """``data`` as an .npz file without time stamps: equal data give equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for key, array in data.items():
            entry = io.BytesIO()
            np.save(entry, np.asarray(array), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{key}.npy"), entry.getvalue(), method)
    return buffer.getvalue()


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz file; no more is read than the file is large, or ``_UNPACKED``.

    Raises:
        ValueError: it is damaged, or unpacks to more. The message says what is wrong.
        OSError: it cannot be read at all.
    """
    if not zipfile.is_zipfile(path):
        with open(path, "rb"):
            raise ValueError("it is no archive, or its end is missing")
    try:
        archive = zipfile.ZipFile(path)
        entries = archive.infolist()
    except Exception as error:  # whatever comes from inside, for one of many reasons
        raise ValueError("its table of contents is damaged") from error
    with archive:
        unpacked = sum(entry.file_size for entry in entries)
        if unpacked > max(_UNPACKED, path.stat().st_size):
            raise ValueError(f"it would unpack to {unpacked:,} bytes, far more than it is large")
        return dict(_read_entry(archive, entry) for entry in entries)


def _read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> tuple[str, np.ndarray]:
    name = entry.filename.removesuffix(".npy")
    try:
        with archive.open(entry) as file:
            return name, _read_npy(file.read(entry.file_size))
    except Exception as error:  # as above: of zipfile, zlib and NumPy
        raise ValueError(f"{name!r} in it is damaged") from error


def _read_npy(content: bytes) -> np.ndarray:
    file = io.BytesIO(content)
    headers = np.lib.format.read_array_header_1_0, np.lib.format.read_array_header_2_0
    shape, fortran, dtype = headers[np.lib.format.read_magic(file)[0] - 1](file)
    if dtype.hasobject or math.prod(shape) * max(1, dtype.itemsize) != len(content) - file.tell():
        raise ValueError("the header claims another size than there is, or objects")
    order: Any = "F" if fortran else "C"
    return np.ndarray(shape, dtype, content, file.tell(), order=order)


def write_durably(path: Path, content: bytes) -> None:
    """Put ``content`` at ``path`` in one step, on the disk: what is killed leaves a ``.partial``.

    The folder is flushed by ``flush``, once for all files in it.
    """
    partial = path.with_name(f"{path.name}.partial")
    with open(partial, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def flush(folder: Path) -> None:
    """Have the names in ``folder`` on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def replace(path: Path, content: bytes) -> None:
    """Put ``content`` at ``path`` in one step."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
