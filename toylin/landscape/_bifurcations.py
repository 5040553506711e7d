"""Where the critical points change along a family of losses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from toylin._internal import checks
from toylin._internal.showing import shown
from toylin.landscape._critical_points import CriticalPoints

# Where a bracket is divided: the later ones are for values at which a point is degenerate.
_DIVISIONS = (0.5, 0.4375, 0.5703125)


@shown
class Bifurcation(NamedTuple):
    """Where the critical points change along a family: between ``below`` and ``above``.

    Attributes:
        value: of the parameter.
        below, above: how many minima, saddles and maxima there are on either side.
        kind: "fold" where points appear or vanish in pairs away from all others, "pitchfork" where
            they split off one that stays, "index" where a point only changes its index.
        location: the points nearest to which it happens, |w| of them.
    """

    value: float
    below: tuple[int, int, int]
    above: tuple[int, int, int]
    kind: str
    location: float


class _Side(NamedTuple):
    """A value of the parameter and the critical points there."""

    value: float
    points: CriticalPoints

    @property
    def census(self) -> tuple[int, int, int]:
        return self.points.census()


def find_bifurcations(
    points_at: Callable[[float], CriticalPoints], values: Sequence[float], tolerance: float = 1e-6
) -> list[Bifurcation]:
    """Follow critical points along a family, and bisect every change of their census.

    Each bifurcation that is returned is one: the numbers of minima, saddles and maxima on its two
    sides, which are certified, differ. One can be missed: changes between two neighbouring values
    that cancel each other; a change that leaves the three numbers as they are (two at once that
    balance); changes closer than the tolerance count as one, with the two sides' points compared to
    name its kind. A value at which a point is exactly degenerate is passed over: its neighbours are
    compared.

    Args:
        points_at: the critical points at a value of the parameter, certified to be all of them: as
            ``solve_critical_points`` returns them.
        values: increasing values to compare, at least two.
        tolerance: the width of the final bracket, relative to the value (to the distance of its
            neighbours where these lie on both sides of zero).

    Raises:
        ValueError: values that do not increase, a tolerance that is no positive number below 1,
            points that are not certified (a search can miss some), or a family of which points
            stay degenerate.

    >>> from toylin import MAML, LinearRegression, solve_critical_points
    >>> (found,) = find_bifurcations(
    ...     lambda alpha: solve_critical_points(LinearRegression(), MAML(alpha)), [0.2, 0.3]
    ... )
    >>> round(found.value, 4), found.below, found.above, found.kind
    (0.2675, (4, 8, 5), (4, 4, 1), 'fold')
    """
    checks.function("points_at", points_at, "of a number")
    checks.real("values", values)
    checks.positive("tolerance", tolerance, below=1.0)
    values = np.ravel(np.asarray(values, float)).tolist()
    increasing = all(a < b for a, b in pairwise(values))
    if len(values) < 2 or not increasing:
        raise ValueError(f"values must be at least two increasing finite numbers, got {values}")
    sides = [side for v in values if not _is_degenerate(side := _side(points_at, v))]
    return [
        found
        for low, high in pairwise(sides)
        for found in _between(points_at, low, high, tolerance)
    ]


def _side(points_at: Callable[[float], CriticalPoints], value: float) -> _Side:
    points = points_at(value)
    if not points.certified:
        raise ValueError(
            "points_at must return certified critical points, as solve_critical_points does: a "
            f"search can miss some, and what it misses would look like a bifurcation at {value}"
        )
    return _Side(value, points)


def _is_degenerate(side: _Side) -> bool:
    return bool(np.any(side.points.degenerate))


def _between(
    points_at: Callable[[float], CriticalPoints], low: _Side, high: _Side, tolerance: float
) -> Iterator[Bifurcation]:
    """The changes between two values that differ: the first that bisection meets, then the rest."""
    while low.census != high.census:
        start, first, last = low, low, high
        across_zero = low.value <= 0 <= high.value
        while True:
            size = high.value - start.value if across_zero else max(-first.value, last.value)
            if last.value - first.value <= tolerance * size:
                break
            between = _divided(points_at, first, last)
            if between is None:
                break
            first, last = (between, last) if between.census == start.census else (first, between)
        yield _named(first, last)
        low = last


def _divided(points_at: Callable[[float], CriticalPoints], low: _Side, high: _Side) -> _Side | None:
    """A value between the two at which no point is degenerate; None if float64 has none."""
    for share in _DIVISIONS:
        value = low.value + share * (high.value - low.value)
        if not low.value < value < high.value:
            return None
        if value == 0:  # where a family need not be defined: a step size, a spread
            continue
        if not _is_degenerate(side := _side(points_at, value)):
            return side
    raise ValueError(
        f"critical points stay degenerate between {low.value} and {high.value}: bifurcations of "
        "this family cannot be told apart"
    )


def _named(below: _Side, above: _Side) -> Bifurcation:
    value = below.value + (above.value - below.value) / 2
    swap = len(below.points.points) < len(above.points.points)
    more, fewer = (s.points for s in ((above, below) if swap else (below, above)))
    kind, at = _kind(more, fewer)
    location = float(np.linalg.norm(more.points[at]))
    return Bifurcation(value, below.census, above.census, kind, location)


def _kind(more: CriticalPoints, fewer: CriticalPoints) -> tuple[str, int]:
    """The kind of a change, and a point to which it happens."""
    lost = len(more.points) - len(fewer.points)
    if lost == 0:
        return "index", int(np.abs(more.eigenvalues).min(axis=1).argmin())
    distance = np.linalg.norm(more.points[:, None] - fewer.points[None], axis=-1)
    # The points that vanish are those with no partner, or that share one, on the other side.
    gone = np.argsort(distance.min(axis=1, initial=np.inf))[-lost:]  # or there are none
    nearest = distance[gone].min(axis=1, initial=np.inf).max()
    pairs = np.linalg.norm(more.points[gone][:, None] - more.points[gone][None], axis=-1)
    np.fill_diagonal(pairs, np.inf)
    return ("fold" if pairs.min(axis=1).max() < nearest else "pitchfork"), int(gone[0])
