"""The best sum of Kronecker products that layers can be: the search behind ``best_layers``."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from toylin.depth._best_product import best_product
from toylin.depth._spectrum import Spectrum

_RANDOM_STARTS = 2  # beside those that are known to be good
_FLOOR = 1e-13  # of factors, relative to the largest, since layers divide by their roots
_EXACT = 1e-20  # of the loss before a step: below it an excess is rounding


class Sum(NamedTuple):
    """The factors of L products, in the frame of a ``Spectrum``: diag(left[i]) kron right[i].

    Attributes:
        left: shape (L, outputs), positive; the last is one.
        right: shape (L, dim, dim), positive definite; the first is what one is in the frame.
    """

    left: np.ndarray
    right: np.ndarray

    def error(self, problem: Spectrum) -> np.ndarray:
        """What it differs by from the best preconditioner, a dim x dim matrix for every output."""
        best = problem.best[:, :, None] * np.eye(problem.best.shape[1])
        return np.einsum("li,ljk->ijk", self.left, self.right) - best

    def excess(self, problem: Spectrum) -> float:
        """What it loses beyond that."""
        return 0.5 * float(np.sum(problem.weight[:, None, :] * self.error(problem) ** 2))


def best_sum(problem: Spectrum, depth: int) -> Sum:
    """The best that is found: the best preconditioner itself where the layers are enough for it.

    In units in which it and the identity are of size one: no law's own decide.
    """
    top, unit = problem.best.max(), np.abs(problem.identity).max()
    left, right = _found(
        problem._replace(
            best=problem.best / top,
            weight=problem.weight * top**2,
            identity=problem.identity / unit,
        ),
        depth,
    )
    return Sum(
        np.concatenate([left[:1] * (top / unit), left[1:]]),
        np.concatenate([problem.identity[None], right[1:] * top]),
    )


def _found(problem: Spectrum, depth: int) -> Sum:
    found = []
    for known in _known(problem, depth):
        found.append(known)
        if known.excess(problem) <= _EXACT * problem.unadapted:
            return known
    outputs, dim = problem.best.shape
    rng = np.random.default_rng(0)
    size = (problem.best.mean() / depth) ** 0.25
    starts = [
        (np.sqrt(s.left[:-1]) + 0.1 * size, np.linalg.cholesky(s.right[1:]).transpose(0, 2, 1))
        for s in found
    ]
    for _ in range(_RANDOM_STARTS):
        left = size * rng.uniform(0, 2, (depth - 1, outputs))
        starts.append((left, size * rng.normal(size=(depth - 1, dim, dim))))
    found += [_descend(problem, *start) for start in starts]
    return min(found, key=lambda terms: terms.excess(problem))


def _known(problem: Spectrum, depth: int) -> Iterator[Sum]:
    """Sums that take no search: by groups of outputs, by groups of inputs, one product."""
    *steps, (_, last) = _groups(problem.best, problem.weight, depth - 1)
    yield _sum(problem, depth, [(members, np.diag(step)) for members, step in steps], last)
    if depth > 2:
        nothing = np.zeros(len(problem.columns))
        groups = _groups(problem.best.T, problem.weight.T, depth - 2)
        columns = [(step, np.diag(members)) for members, step in groups[::-1]]
        yield _sum(problem, depth, columns, nothing)
        a, b = best_product(problem)
        yield _sum(problem, depth, [(a, np.diag(b))], nothing)


def _groups(
    best: np.ndarray, weight: np.ndarray, count: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """The best preconditioner of rows that share one in each of so many groups, in terms.

    A group's, the weighted mean of its rows' best ones, is the larger, the earlier the group. So it
    is the last group's, for all, plus what the one before has beyond that, for all but the last,
    and so on: terms (which rows, what they have), all positive.
    """
    ends = _partition(best, weight, min(count, len(best)))
    means = [np.average(best[a:b], axis=0, weights=weight[a:b]) for a, b in pairwise([0, *ends])]
    steps = [high - low for high, low in pairwise(means)]
    members = [(np.arange(len(best)) < end).astype(float) for end in ends]
    return [*zip(members, [*steps, means[-1]], strict=True)]


def _partition(best: np.ndarray, weight: np.ndarray, count: int) -> list[int]:
    """Where the groups of neighbouring rows end that lose least, by dynamic programming."""
    weights, signal = (
        np.vstack([np.zeros(best.shape[1]), np.cumsum(x, axis=0)]) for x in (weight, weight * best)
    )

    def gain(a: int, b: int) -> float:
        return float(np.sum((signal[b] - signal[a]) ** 2 / (weights[b] - weights[a])))

    found: dict[int, tuple[float, list[int]]] = {0: (0.0, [])}
    for _ in range(count):
        found = {
            b: max((found[a][0] + gain(a, b), [*found[a][1], b]) for a in found if a < b)
            for b in range(min(found) + 1, len(best) + 1)
        }
    return found[len(best)][1]


def _sum(
    problem: Spectrum, depth: int, terms: list[tuple[np.ndarray, np.ndarray]], last: np.ndarray
) -> Sum:
    """Terms between the first and the last, as many as there are; those that are free vanish."""
    outputs, dim = problem.best.shape
    c, d = np.zeros((depth, outputs)), np.zeros((depth, dim, dim))
    c[-1], d[0], d[-1] = 1.0, problem.identity, np.diag(last)
    for i, (left, right) in enumerate(terms, start=depth - 1 - len(terms)):
        c[i], d[i] = left / left.max(), right * left.max()
    return _floored(c, d)


def _floored(c: np.ndarray, d: np.ndarray) -> Sum:
    """Factors that are well away from zero, by what makes no difference."""
    d[1:] += _FLOOR * np.eye(d.shape[1])
    return Sum(np.maximum(c, _FLOOR), d)


def _descend(problem: Spectrum, left: np.ndarray, right: np.ndarray) -> Sum:
    """From roots of the free factors (those of the left ones, Y with Y'Y of the right ones)."""
    from scipy.optimize import minimize

    # Truncated Newton: L-BFGS stops early in the long valleys, and its threads cost more than it.
    options = {"maxfun": 5000, "ftol": 1e-15, "gtol": 1e-10, "xtol": 0.0}
    x0 = np.append(left, right)
    end = minimize(_share, x0, (problem,), jac=True, method="TNC", options=options).x
    found = _terms(problem, *_roots(end, problem))
    size = found.left.max(axis=1)
    size[[0, -1]] = 1.0
    return _floored(found.left / size[:, None], found.right * size[:, None, None])


def _roots(x: np.ndarray, problem: Spectrum) -> tuple[np.ndarray, np.ndarray]:
    outputs, dim = problem.best.shape
    free = len(x) // (outputs + dim**2)
    return x[: free * outputs].reshape(free, outputs), x[free * outputs :].reshape(free, dim, dim)


def _terms(problem: Spectrum, a: np.ndarray, y: np.ndarray) -> Sum:
    c = np.vstack([a**2, np.ones(a.shape[1])])
    return Sum(c, np.concatenate([problem.identity[None], y.transpose(0, 2, 1) @ y]))


def _share(x: np.ndarray, problem: Spectrum) -> tuple[float, np.ndarray]:
    """The excess of the sum with the roots ``x`` over the loss before a step, and its gradient."""
    a, y = _roots(x, problem)
    found = _terms(problem, a, y)
    pull = found.error(problem) * problem.weight[:, None, :]
    pull = (pull + pull.transpose(0, 2, 1)) / 2
    g_a = 2 * a * np.einsum("ijk,ljk->li", pull, found.right[:-1])
    g_y = 2 * y @ np.einsum("li,ijk->ljk", found.left[1:], pull)
    return found.excess(problem) / problem.unadapted, np.append(g_a, g_y) / problem.unadapted
