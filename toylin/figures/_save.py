"""Write a figure and the data behind it: the same bytes every time, all or nothing."""

from __future__ import annotations

import io
import json
import os
import platform
import tempfile
import zipfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from toylin.figures._style import style

_FORMATS: dict[str, dict[str, Any]] = {
    "png": {"dpi": 200, "metadata": {"Software": None}},
    "svg": {"metadata": {"Date": None}},
    "pdf": {"metadata": {"CreationDate": None}},
}


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


def save(
    out: Path,
    name: str,
    figure: Figure,
    data: Mapping[str, np.ndarray],
    settings: Mapping[str, Any],
    caption: str,
) -> list[Path]:
    """Write NAME.png, .svg, .pdf, .npz (the data) and .json (settings, caption, versions).

    Everything is made in memory first, and each file then replaces its predecessor in one step, so
    that a failure leaves earlier results as they were.
    """
    files: dict[str, bytes] = {}
    with style():
        for suffix, options in _FORMATS.items():
            buffer = io.BytesIO()
            figure.savefig(buffer, format=suffix, **options)
            files[suffix] = buffer.getvalue()
    files["npz"] = npz_bytes(data)
    about = {"caption": caption, "settings": dict(settings), "versions": versions()}
    files["json"] = (json.dumps(about, indent=2) + "\n").encode()
    paths = [out / f"{name}.{suffix}" for suffix in files]
    for path, content in zip(paths, files.values(), strict=True):
        replace(path, content)
    return paths


def npz_bytes(data: Mapping[str, np.ndarray]) -> bytes:
    """``data`` as an .npz file without time stamps: equal data give equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for key, array in data.items():
            entry = io.BytesIO()
            np.save(entry, np.asarray(array), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{key}.npy"), entry.getvalue(), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def versions() -> dict[str, str]:
    """The software behind the numbers."""
    packages = {name: version(name) for name in ("toylin", "jax", "jaxlib", "optax", "numpy")}
    return {"python": platform.python_version(), **packages, "matplotlib": matplotlib.__version__}


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
