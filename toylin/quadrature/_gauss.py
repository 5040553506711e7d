"""Gauss rules for the two laws that linear regression needs: the normal and the gamma.

Weights are returned as logarithms with full relative accuracy, however far in the tail: the mean of
a post-adaptation loss can be carried by nodes whose weight is 1e-300. Library routines give weights
of small absolute error only, overflow for large shape parameters, or both.
"""

from __future__ import annotations

import numpy as np

from toylin._internal import checks
from toylin._internal.keeping import kept


def nodes_for_degree(degree: int) -> int:
    """The nodes with which a Gauss rule is exact for polynomials of that degree: 2n - 1 >= it."""
    return degree // 2 + 1


def _gauss(diagonal: np.ndarray, off_diagonal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and log weights of the rule with the given Jacobi matrix (Golub and Welsch, 1969).

    Eigenvalues are polished by Newton's method on the orthonormal polynomials p_k of the law, and a
    weight is 1 / sum_k p_k(x)²: a sum of positive terms, hence accurate to rounding.
    """
    n = len(diagonal)
    matrix = (
        np.diag(diagonal) + np.diag(off_diagonal[: n - 1], 1) + np.diag(off_diagonal[: n - 1], -1)
    )
    x = np.linalg.eigvalsh(matrix)
    for _ in range(3):
        x, log_sum = _christoffel(x, diagonal, off_diagonal)
    return x, -log_sum


def _christoffel(
    x: np.ndarray, diagonal: np.ndarray, off_diagonal: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """One Newton step towards the zeros of p_n, and log sum_{k<n} p_k² at the points ``x``.

    The recurrence b_k p_{k+1} = (x - a_k) p_k - b_{k-1} p_{k-1} is rescaled as it goes; ``scale``
    holds the logarithm of what was divided out.
    """
    p, p_prev = np.ones_like(x), np.zeros_like(x)
    d, d_prev = np.zeros_like(x), np.zeros_like(x)
    total, scale = np.zeros_like(x), np.zeros_like(x)
    for k, (a, b) in enumerate(zip(diagonal, off_diagonal, strict=True)):
        total += p**2
        b_prev = off_diagonal[k - 1] if k else 0.0
        p, p_prev, d, d_prev = (
            ((x - a) * p - b_prev * p_prev) / b,
            p,
            (p + (x - a) * d - b_prev * d_prev) / b,
            d,
        )
        size = np.maximum(np.maximum(np.abs(p), np.abs(p_prev)), 1e-30)
        p, p_prev, d, d_prev = p / size, p_prev / size, d / size, d_prev / size
        total, scale = total / size**2, scale + np.log(size)
    return x - p / d, np.log(total) + 2 * scale


@kept
def gauss_normal(nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and log weights for z ~ N(0, 1): exact for polynomials of degree 2 * nodes - 1.

    >>> x, log_weight = gauss_normal(3)
    >>> round(float(np.exp(log_weight) @ x**4), 12)  # the fourth moment
    3.0
    """
    checks.integer("nodes", nodes, minimum=1)
    return _gauss(np.zeros(nodes), np.sqrt(np.arange(1.0, nodes + 1)))


@kept
def gauss_gamma(nodes: int, shape: float) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and log weights for g ~ Gamma(shape, 1): exact up to degree 2 * nodes - 1.

    >>> x, log_weight = gauss_gamma(2, 2.5)
    >>> round(float(np.exp(log_weight) @ x**3), 12)  # 2.5 * 3.5 * 4.5
    39.375
    """
    checks.integer("nodes", nodes, minimum=1)
    if not (np.isfinite(shape) and shape > 0):
        raise ValueError(f"shape must be a positive number, got {shape!r}")
    k = np.arange(float(nodes))
    return _gauss(2 * k + shape, np.sqrt((k + 1) * (k + shape)))
