"""How depth changes the geometry of a gradient step: the induced preconditioner, and its limits."""

from __future__ import annotations

from itertools import pairwise

import jax.numpy as jnp
from jaxtyping import Array, Float

from toylin.closed_form._layers import products_above, products_below
from toylin.model import Params, Scalar, check_params, end_to_end


def induced_preconditioner(params: Params) -> Float[Array, "dim dim"]:
    """P = sum_i (B_i' B_i) kron (A_i A_i'): what depth multiplies an end-to-end gradient with.

    With A_i = W_L ... W_{i+1} and B_i = W_{i-1} ... W_1, one gradient step of size alpha on all
    layers moves the end-to-end vector by -alpha P vec(G) + O(alpha²), G its gradient. For one
    output A_i A_i' is a number, and P = sum_i |A_i|² B_i' B_i acts on the d inputs; one layer has
    P = I. Always positive semi-definite.

    Args:
        params: (W_1, ..., W_L), one output.

    Source: Arora, Cohen and Hazan, "On the Optimization of Deep Networks: Implicit Acceleration by
    Overparameterization", ICML 2018, Theorem 1 and Claim 1 (there for balanced layers).

    >>> p = induced_preconditioner((jnp.array([[2.0]]), jnp.array([[3.0]])))
    >>> float(p[0, 0])  # 2² + 3²
    13.0
    """
    check_params(params)
    below, above = products_below(tuple(params))[:-1], products_above(tuple(params))
    return sum(  # type: ignore[return-value]
        jnp.kron(b.T @ b, a @ a.T) for a, b in zip(above, below, strict=True)
    )


def step_departure(
    params: Params, gradient: Float[Array, " dim"], step_size: Scalar
) -> Float[Array, ""]:
    """How far a finite step departs from the preconditioned one, relative to that.

    |w' - (w - alpha P G)| / |alpha P G|, where w' is the end-to-end vector after every layer has
    taken a step along A_i' G B_i'. Proportional to alpha as alpha goes to zero, zero for one layer.

    Args:
        params: (W_1, ..., W_L), one output.
        gradient: G, shape (dim,), in the end-to-end vector.
        step_size: alpha, not zero.

    Raises:
        ValueError: ``params`` do not chain, or ``gradient`` has another shape.
    """
    check_params(params)
    dim = params[0].shape[1]
    if jnp.shape(gradient) != (dim,):
        raise ValueError(f"gradient must have shape ({dim},), got {jnp.shape(gradient)}")
    below, above = products_below(tuple(params))[:-1], products_above(tuple(params))
    moved = tuple(
        w - step_size * (a.T @ gradient[None, :] @ b.T)
        for w, a, b in zip(params, above, below, strict=True)
    )
    first_order = -step_size * induced_preconditioner(params) @ gradient
    change = (end_to_end(moved) - end_to_end(params))[0]
    return jnp.linalg.norm(change - first_order) / jnp.linalg.norm(first_order)


def imbalance(params: Params) -> Float[Array, " layers"]:
    """|W_{l+1}' W_{l+1} - W_l W_l'| (Frobenius) between neighbouring layers: L - 1 numbers.

    Gradient flow on any loss of the end-to-end matrix keeps every such difference constant; layers
    that start balanced (zero) stay so, and finite steps of size alpha change it at order alpha².
    Map it over a trajectory with ``jax.vmap``.

    Source: Arora, Cohen and Hazan, ICML 2018, Theorem 1; Du, Hu and Lee, NeurIPS 2018.
    """
    check_params(params)
    gaps = [
        jnp.linalg.norm(above.T @ above - below @ below.T)
        for below, above in pairwise(tuple(params))
    ]
    return jnp.stack(gaps) if gaps else jnp.zeros(0, params[0].dtype)
