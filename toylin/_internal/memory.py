"""Sizes that no machine like this one can hold: refused by number, before anything is allocated."""

from __future__ import annotations

import os
from typing import Any

import numpy as np


def check_fits(what: str, numbers: int, dtype: Any) -> None:
    """Raise a ValueError where that many numbers take more than all memory of the machine.

    Args:
        what: what needs them, and which argument makes them fewer.
        numbers: how many.
        dtype: their type.
    """
    have = physical_memory()
    need = numbers * np.dtype(dtype).itemsize
    if have is not None and need > have:
        raise ValueError(
            f"{what} needs {need / 2**30:,.3g} GiB, more than the {have / 2**30:,.3g} GiB of "
            "memory of this machine"
        )


def physical_memory() -> int | None:
    """Bytes of memory of the machine; None where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None
