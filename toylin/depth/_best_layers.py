"""Layers that act as a sum of Kronecker products, and the best sum that a depth allows."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from toylin._internal import checks
from toylin._internal.dtypes import float_dtype
from toylin._internal.shapes import Array, Float
from toylin._internal.showing import shown
from toylin.depth._best_sum import Sum, best_sum
from toylin.depth._spectrum import Spectrum, spectrum
from toylin.models import MAX_DEPTH, Params, Scalar
from toylin.tasks import LinearRegression, check_regression


@shown
class BestLayers(NamedTuple):
    """What ``best_layers`` returns.

    Attributes:
        params: the start, (W_1, ..., W_L), W_L...W_1 = 0, hidden layers of width dim + outputs.
        matrix: P, shape (n, n), n = outputs * dim: one step of MAML moves the end-to-end matrix, a
            vector row by row, by -P gradient, exactly, on any data.
        loss: the expected outer loss there.
    """

    params: Params
    matrix: Float[Array, "n n"]
    loss: Float[Array, ""]


def best_layers(
    tasks: LinearRegression, depth: int, step_size: Scalar, dtype: DTypeLike | None = None
) -> BestLayers:
    """A deep start from which one step of MAML is the best sum of Kronecker products.

    Hidden layers have two parts: the first layer writes to the one, the last reads from the other,
    and no layer leads across, so that the end-to-end matrix is zero. After a step every layer leads
    across, by its own gradient, and any path from inputs to outputs crosses once: the end-to-end
    matrix is exactly -alpha sum_i C_i G D_i, with C_i = A_i A_i', D_i = B_i' B_i, C_L = 1 and D_1 =
    1, the other factors free (positive definite). So three layers contain Meta-KFO, one product;
    one more layer than R has distinct eigenvalues, or two in the population, contains the best
    preconditioner that there is, ``best_preconditioner(tasks)``, and this is it. Two layers are the
    sum C kron 1 + 1 kron D, a convex problem. Between these the sum is the best that was found from
    several starts: an upper bound of the least loss.

    Other starts, at which the end-to-end matrix is not zero or a step is no linear map of the
    gradient, can be better still.

    Args:
        tasks: the distribution of tasks, with mean zero; any number of outputs and shots.
        depth: L, at least 2.
        step_size: alpha, positive. It scales ``params``; neither matrix nor loss depend on it.
        dtype: of the result; JAX's default float type if None.

    Returns:
        A ``BestLayers``.

    Raises:
        ValueError: an argument of the wrong kind or size, a mean that is not zero, or values that
            are traced: the search needs concrete ones.

    >>> rows = jnp.array([[1.0, 0.0], [0.0, 0.1]])
    >>> law = LinearRegression(3, shots=9, outputs=2, output_cov=rows, noise_std=1.0)
    >>> [w.shape for w in best_layers(law, depth=3, step_size=0.1).params]
    [(5, 3), (5, 5), (2, 5)]
    """
    check_regression(tasks)
    checks.integer("depth", depth, minimum=2, maximum=MAX_DEPTH)
    checks.positive("step_size", step_size)
    size = checks.concrete("step_size", step_size)
    if size is None:
        raise ValueError("step_size must be a concrete number here, not one traced by jit or grad")
    problem = spectrum(tasks)
    if np.any(np.asarray(tasks.theta_mean)):
        raise ValueError(
            f"tasks must have theta_mean=0 here, where the start is zero, got {tasks.theta_mean!r}"
        )
    terms = best_sum(problem, depth)
    float_type = float_dtype(dtype)
    matrix = sum(
        np.kron((problem.basis * c) @ problem.basis.T, problem.frame @ d @ problem.frame.T)
        for c, d in zip(*terms, strict=True)
    )
    return BestLayers(
        tuple(jnp.asarray(w, float_type) for w in _layers(problem, terms, float(size))),
        jnp.asarray(matrix, float_type),
        jnp.asarray(problem.loss + terms.excess(problem), float_type),
    )


def _layers(problem: Spectrum, terms: Sum, step_size: float) -> list[np.ndarray]:
    """Layers whose parts, from the inputs and to the outputs, have the products of ``terms``."""
    outputs, dim = problem.best.shape
    up = np.linalg.cholesky(terms.right[1:]).transpose(0, 2, 1)  # B_i = up F' / sqrt(alpha), i > 1
    down = np.sqrt(terms.left[:-1])  # A_i = U diag(down), and over sqrt(alpha) for i = 1
    down[0] *= step_size**-0.5
    first = np.vstack([step_size**-0.5 * up[0] @ problem.frame.T, np.zeros((outputs, dim))])
    last = np.hstack([np.zeros((outputs, dim)), problem.basis * down[-1]])
    between = []
    for i in range(len(up) - 1):
        layer = np.zeros((dim + outputs, dim + outputs))
        layer[:dim, :dim] = np.linalg.solve(up[i].T, up[i + 1].T).T
        layer[dim:, dim:] = np.diag(down[i] / down[i + 1])
        between.append(layer)
    return [first, *between, last]
