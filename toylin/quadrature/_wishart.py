"""Exact means of sums over the eigenvalues of a real Wishart matrix."""

from __future__ import annotations

import math

import numpy as np

from toylin._internal import checks
from toylin._internal.keeping import kept
from toylin._internal.shapes import Float

_TAIL = 45.0  # exp(-_TAIL) is left out at either end


@kept
def eigenvalue_rule(
    dim: int, freedom: int
) -> tuple[Float[np.ndarray, " nodes"], Float[np.ndarray, " nodes"]]:
    """Nodes x and weights with E sum_i f(lambda_i) = weights @ f(x), lambda the eigenvalues of Z'Z.

    Z is a ``freedom`` x ``dim`` matrix of independent N(0, 1) numbers; the sum is over the
    min(dim, freedom) eigenvalues that are not always zero, and the weights sum to their number.
    Exact to rounding for f analytic near the positive half line, a pole at -1 included.

    The density of the eigenvalues is |prod_{i<j} (l_j - l_i)| prod_i w(l_i), whose normalisation is
    a Pfaffian of the integrals of sgn(y - x) p_j(x) p_k(y) w(x) w(y) (de Bruijn, 1955); the weights
    are its logarithmic derivatives in w at the nodes. Integrals are over log x by the trapezoidal
    rule, for the sign by its indefinite sinc version; both converge exponentially.

    Raises:
        ValueError: an argument is no positive integer, or the smaller is above 40 (rounding).
    """
    checks.integer("dim", dim, minimum=1)
    checks.integer("freedom", freedom, minimum=1)
    n, excess = min(dim, freedom), abs(dim - freedom)
    if n > 40:
        raise ValueError(f"min(dim, freedom) must be at most 40, got {n}")
    x, functions = _functions(n, excess)
    lag = np.arange(len(x))
    signs = np.array([_sine_integral(math.pi * k) for k in lag]) * 2 / math.pi
    sign = np.where(lag[None] >= lag[:, None], 1, -1) * signs[np.abs(lag[None] - lag[:, None])]
    folded = sign @ functions.T
    matrix = functions @ folded
    if n % 2:
        sums = functions.sum(axis=1, keepdims=True)
        matrix = np.block([[matrix, sums], [-sums.T, np.zeros((1, 1))]])
    inverse = np.linalg.inv(matrix)
    weights = np.einsum("aj,ja->a", folded @ inverse[:n, :n], functions)
    if n % 2:
        weights += inverse[n, :n] @ functions
    return x, weights


def _functions(n: int, excess: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes x and p_j(x) w(x) dx, p_j orthonormal for x^excess exp(-x) (Laguerre)."""
    power = (excess + 1) / 2  # of x in w(x) dx = x^((excess - 1) / 2) exp(-x / 2) x dlog(x)
    top = 4 * n + 2 * excess + 12 * math.sqrt(2 * n + excess) + 2 * _TAIL
    reach = _TAIL / power
    bottom = math.log(2 * power) - reach - math.sqrt(2 * reach) - 2 * math.log(n)
    # As fine as the peak of w needs, and the 2 n oscillations of a product of two polynomials
    # between the edges of the spectrum.
    inner, outer = math.sqrt(n), math.sqrt(n + excess)
    width = 2 * math.log((outer + inner) / (outer - inner)) if excess else math.inf
    step = min(0.08, 0.4 / math.sqrt(power), 0.8 / n, 0.25 * width / n)
    x = np.exp(np.arange(bottom, math.log(top), step))
    log_w = power * np.log(x) - x / 2 - math.lgamma(excess + 1) / 2
    rows = [np.exp(log_w)]
    before = np.zeros_like(x)
    for k in range(n - 1):
        scale = math.sqrt((k + 1) * (k + 1 + excess))
        lower = math.sqrt(k * (k + excess))
        rows.append(((x - 2 * k - excess - 1) * rows[-1] - lower * before) / scale)
        before = rows[-2]
    return x, np.array(rows) * step


def _sine_integral(x: float) -> float:
    from scipy.special import sici

    return float(sici(x)[0])
