"""What commands share: double precision, numbers for JSON, and a report of what was written."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import reduce
from pathlib import Path
from typing import Any

import click
import jax

from toylin._internal.compiling import keep_programs


class _Shots(click.ParamType):
    """A number of support points, or ``population`` (infinitely many): what Python calls None."""

    name = "INTEGER|population"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | None:
        if value is None or value == "population":
            return None
        try:
            number = int(value)
        except ValueError:
            number = 0
        if number < 1:
            self.fail(f"must be a positive integer or the word population, got {value!r}")
        return number


class _Number(click.ParamType):
    """A number that is neither NaN nor infinite, and above 0 where it must be."""

    name = "FLOAT"

    def __init__(self, kind: str, above: float = -math.inf) -> None:
        self._kind, self._above = kind, above

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not (math.isfinite(number) and number > self._above):
            self.fail(f"must be a {self._kind} number, got {value!r}")
        return number


class _Path(click.Path):
    """A path that is not empty, as an unset variable of a shell is: that is the current folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("must be a path, got ''", param, ctx)
        return super().convert(value, param, ctx)


FINITE = _Number("finite")
POSITIVE = _Number("positive", above=0)
SHOTS = _Shots()
PATH = _Path(path_type=Path)
PATH_AS_SAID = _Path()
SEED = click.IntRange(0, 2**63 - 1)
COUNT = click.IntRange(1, 2**31 - 1)


def out_option(text: str = "Folder to write into; made if it is missing.") -> Any:
    """``--out``: the folder that figures are written into."""
    return click.option("--out", type=PATH, default=Path("drawn"), show_default=True, help=text)


def use_float64() -> None:
    """Commands compute in double precision; importing toylin never switches it.

    They keep what they compile from one to the next, too.
    """
    jax.config.update("jax_enable_x64", True)
    keep_programs()


def together(options: Sequence[Callable[..., Any]]) -> Callable[..., Any]:
    """What adds all of these options to a command, in their order."""
    return lambda command: reduce(lambda made, option: option(made), reversed(options), command)


@contextmanager
def report(aside: bool = False) -> Iterator[list[Path]]:
    """Collect the paths a command writes; at the end say which, and how long it took.

    Args:
        aside: say it on standard error.
    """
    start = time.perf_counter()
    written: list[Path] = []
    yield written
    for path in written:
        click.echo(f"wrote {path}", err=aside)
    click.echo(f"done in {time.perf_counter() - start:.1f} s", err=aside)


def finite(value: Any) -> Any:
    """JSON has no infinity: a number beyond the range of floats is null."""
    if isinstance(value, list):
        return [finite(v) for v in value]
    return None if isinstance(value, float) and not abs(value) < float("inf") else value


def with_error(value: float, error: float | None) -> str:
    """A mean and its standard error, where there is one."""
    return f"{value:.4g}" if error is None else f"{value:.4f} +- {error:.4f}"
