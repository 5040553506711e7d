"""Files: written all or nothing, the same bytes every time."""

from __future__ import annotations

import io
import os
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np


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


def npz_bytes(data: Mapping[str, np.ndarray]) -> bytes:
    """``data`` as an .npz file without time stamps: equal data give equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for key, array in data.items():
            entry = io.BytesIO()
            np.save(entry, np.asarray(array), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{key}.npy"), entry.getvalue(), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


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
