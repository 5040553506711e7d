"""Boxes of runs: how large they may be, and in which order they come."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, inf, prod

from toylin._internal import checks
from toylin._internal.traced_cost import Cost

MOST_RUNS = 4096  # in a chunk: what a crash can lose, and what must fit in the caches
MOST_WORK = 2e10  # bytes touched in a chunk: some ten seconds' worth on a core


@dataclass(frozen=True, eq=False)
class Chunk:
    """A box of runs: ``start`` and ``stop`` along every dimension, the seed's last."""

    start: tuple[int, ...]
    stop: tuple[int, ...]

    @property
    def slices(self) -> tuple[slice, ...]:
        """The box as an index."""
        return tuple(slice(a, b) for a, b in zip(self.start, self.stop, strict=True))

    @property
    def shape(self) -> tuple[int, ...]:
        """Its sides."""
        return tuple(b - a for a, b in zip(self.start, self.stop, strict=True))


def choose_block(
    shape: tuple[int, ...],
    batched: Sequence[bool],
    costs: Sequence[Cost],
    memory: int,
    devices: int,
    most: int | None = None,
) -> tuple[int, ...]:
    """The sides of a chunk: within ``memory`` bytes, and small enough to be lost.

    ``batched`` says of each dimension whether all runs along it share a program.

    Raises:
        ValueError: not even one run a device fits, or ``chunk_runs`` is no positive integer.
    """
    if most is not None:
        checks.integer("chunk_runs", most, minimum=1)
    worst = max(c.bytes for c in costs)
    fit = memory // max(worst, 1)
    if fit < devices:
        raise ValueError(
            f"memory must allow for one run a device, {worst * devices:,} bytes "
            f"with {devices} devices, got {memory:,}"
        )
    work = max(c.work for c in costs)
    limit = min(fit, most or max(devices, min(MOST_RUNS, int(MOST_WORK // max(work, 1)))))
    sides: list[int] = []
    for size, together in zip(shape[::-1], batched[::-1], strict=True):  # the seed first
        side = min(size, max(1, limit // prod(sides))) if together else 1
        sides.append(ceil(size / ceil(size / side)))
    return tuple(reversed(sides))


def all_chunks(
    shape: tuple[int, ...], batched: Sequence[bool], block: tuple[int, ...]
) -> Iterator[Chunk]:
    """All chunks, program by program."""
    order = sorted(range(len(shape)), key=lambda d: batched[d])
    for corner in itertools.product(*(range(0, shape[d], block[d]) for d in order)):
        start = [0] * len(order)
        for d, value in zip(order, corner, strict=True):
            start[d] = value
        stop = tuple(min(a + b, n) for a, b, n in zip(start, block, shape, strict=True))
        yield Chunk(tuple(start), stop)


def parse_memory(memory: int | float | str) -> int:
    """A number of bytes, or text such as "512 MiB" or "2GB".

    Raises:
        ValueError: neither, or not positive.
    """
    if isinstance(memory, str):
        match = re.fullmatch(r"\s*([0-9.]+)\s*([kKmMgGtT]?)(i?)[bB]?\s*", memory)
        if match:
            base = 1024 if match[3] else 1000
            memory = float(match[1]) * base ** " KMGT".index(match[2].upper() or " ")
    if not isinstance(memory, int | float) or not 0 < memory < inf:
        raise ValueError(f"memory must be a size such as '2GiB' or '512MB', got {memory!r}")
    return int(memory)
