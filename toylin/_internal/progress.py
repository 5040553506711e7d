"""Progress: done, rate and time left, in a terminal or in Jupyter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_bar(
    show: bool, total: int, unit: str, done: int = 0
) -> Iterator[Callable[[int], object]]:
    """A function that counts more of ``total`` as done and, where ``show``, says so."""
    if not show:
        yield lambda count: None
        return
    from tqdm.auto import tqdm

    with tqdm(total=total, initial=done, unit=f" {unit}", unit_scale=total >= 10_000) as bar:
        yield bar.update
