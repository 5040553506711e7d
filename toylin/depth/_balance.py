"""The geometry that depth gives a gradient step: how far it is preconditioned, how balanced."""

from __future__ import annotations

from itertools import pairwise

import jax.numpy as jnp

from toylin._internal import checks
from toylin._internal.norms import in_range, norm
from toylin._internal.shapes import Array, Float
from toylin.models import Params, Scalar, check_params, products_above, products_below


def step_departure(
    params: Params, gradient: Float[Array, " dim"] | Float[Array, "outputs dim"], step_size: Scalar
) -> Float[Array, ""]:
    """How far a finite step departs from the preconditioned one, relative to that.

    |w' - (w - alpha P G)| / |alpha P G|, where alpha P is ``induced_preconditioner`` and w' the
    end-to-end matrix, row by row, after every layer has taken a step along A_i' G B_i'.
    Proportional to alpha as alpha goes to zero, zero for one layer.

    Args:
        params: (W_1, ..., W_L), W_l of shape (d_l, d_{l-1}).
        gradient: G, in the end-to-end matrix: shape (dim,) for one output, else (outputs, dim).
        step_size: alpha, not zero.

    Raises:
        ValueError: ``params`` do not chain, ``gradient`` has another shape, or it or ``step_size``
            is zero (NaN where it is a tracer).
    """
    check_params(params, outputs=None)
    checks.not_zero("gradient", gradient)
    checks.not_zero("step_size", step_size)
    step_size = checks.numbers("step_size", step_size)
    outputs, dim = params[-1].shape[0], params[0].shape[1]
    wanted = (dim,) if outputs == 1 else (outputs, dim)
    if jnp.shape(gradient) != wanted:
        raise ValueError(f"gradient must have shape {wanted}, got {jnp.shape(gradient)}")
    matrix = jnp.asarray(gradient).reshape(outputs, dim)
    below, above = products_below(tuple(params))[:-1], products_above(tuple(params))
    # By the order in alpha, layer by layer: the difference of two products would be rounding. And
    # without its powers, which leave the range of floats before what they are multiplied by does.
    largest = jnp.max(jnp.abs(matrix))
    matrix, size = matrix / largest, step_size * largest
    first, higher = jnp.zeros((2, dim, dim), matrix.dtype)
    for w, a, b in zip(params, above, below, strict=True):
        move = -(a.T @ matrix @ b.T)
        first, higher = w @ first + move @ b, w @ higher + move @ (first + size * higher)
    return jnp.abs(size) * norm(higher) / norm(first)


def imbalance(params: Params) -> Float[Array, " layers"]:
    """|W_{l+1}' W_{l+1} - W_l W_l'| (Frobenius) between neighbouring layers: L - 1 numbers.

    Gradient flow on any loss of the end-to-end matrix keeps every such difference constant; layers
    that start balanced (zero) stay so, and finite steps of size alpha change it at order alpha².
    Map it over a trajectory with ``jax.vmap``.

    Args:
        params: (W_1, ..., W_L), W_l of shape (d_l, d_{l-1}).

    Source: Arora, Cohen and Hazan, ICML 2018, Theorem 1; Du, Hu and Lee, NeurIPS 2018.
    """
    check_params(params, outputs=None)
    params, power = in_range(tuple(params))
    gaps = [norm(above.T @ above - below @ below.T) for below, above in pairwise(params)]
    return jnp.stack(gaps) / power / power if gaps else jnp.zeros(0, params[0].dtype)
