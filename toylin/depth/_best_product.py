"""The best single Kronecker product of a preconditioner: a weighted approximation of rank one."""

from __future__ import annotations

import numpy as np

from toylin.depth._spectrum import Spectrum

_STARTS = 16
_ITERATIONS = 1000  # a few dozen are taken


def best_product(problem: Spectrum) -> tuple[np.ndarray, np.ndarray]:
    """Positive a and b of which ``problem.excess(outer(a, b))`` is least.

    Each is made best for the other in turn, which cannot raise the excess, until nothing changes.
    As the weights are affine in ``rows``, the best b for a depends on a, but for a factor, through
    sum a² / sum a² rows only: the search is over one number, between 1 / max(rows) and
    1 / min(rows), and starts all over that range. (In 400 laws drawn at random all starts met.)
    """
    signal, weight = problem.weight * problem.best, problem.weight
    share = np.linspace(0.0, 1.0, _STARTS)[:, None]
    b = problem.columns / (
        share * weight[0] / problem.rows[0] + (1 - share) * weight[-1] / problem.rows[-1]
    )
    for _ in range(_ITERATIONS):
        a = (b @ signal.T) / (b**2 @ weight.T)
        before, b = b, (a @ signal) / (a**2 @ weight)
        if np.allclose(b, before, rtol=1e-14, atol=0):
            break
    pairs = [*zip(a, b, strict=True)]
    return min(pairs, key=lambda pair: problem.excess(np.outer(*pair)))
