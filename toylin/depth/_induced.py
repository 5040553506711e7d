"""What preconditions the gradient: upper layers, or a learned rule, as matrices to compare."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from toylin._internal import checks
from toylin._internal.norms import in_range
from toylin._internal.shapes import Array, Float
from toylin.models import Params, check_params, products_above, products_below
from toylin.rules import Rule, check_linear, check_rule


def induced_preconditioner(params: Params, rule: Rule) -> Float[Array, "n n"]:
    """The matrix P by which one inner step moves a deep model's end-to-end matrix, w - P G.

    To first order in the step; w and G are vectors here, row by row, of n = outputs * inputs
    entries. For MAML with step size alpha it is alpha sum_i (A_i A_i') kron (B_i' B_i), with A_i =
    W_L...W_{i+1} and B_i = W_{i-1}...W_1, so that the layers on both sides of layer i act as
    Kronecker factors (A_i A_i' is a number for one output); for a shallow model it is the rule's
    own preconditioner: alpha L'L kron R'R for Meta-KFO.

    Args:
        params: (W_1, ..., W_L).
        rule: a rule whose update is one linear map of the gradient.

    Raises:
        ValueError: ``params`` do not chain, or the rule does not fit them.
        NoClosedFormError: a rule that is not ``linear``.

    Source: Arora, Cohen and Hazan, "On the Optimization of Deep Networks", ICML 2018, for gradient
    descent.

    >>> import toylin as tl
    >>> print(induced_preconditioner((jnp.full((1, 1), 0.0), jnp.full((1, 1), 3.0)), tl.MAML(0.5)))
    [[4.5]]
    """
    check_params(params, outputs=None)
    check_rule(rule, params)
    check_linear(rule)
    above, below = products_above(params), products_below(params)[:-1]
    shape = params[-1].shape[0], params[0].shape[1]

    def move(gradient: Array) -> Array:
        gradient = gradient.reshape(shape)
        grads = tuple(a.T @ gradient @ b.T for a, b in zip(above, below, strict=True))
        updates = rule.update(grads)
        moves = [a @ u @ b for a, u, b in zip(above, updates, below, strict=True)]
        return sum(moves[1:], start=moves[0]).ravel()

    return jax.vmap(move)(jnp.eye(shape[0] * shape[1], dtype=params[0].dtype)).T


def matrix_angle(first: Float[Array, "*shape"], second: Float[Array, "*shape"]) -> Float[Array, ""]:
    """The angle between two matrices in degrees, by the Frobenius inner product: scale-free.

    Args:
        first: a matrix, or any array.
        second: another of its shape.

    Raises:
        ValueError: arrays of different shapes, or one of zeros, which has no direction (NaN where
            it is a tracer).
    """
    for name, array in (("first", first), ("second", second)):
        checks.not_zero(name, array)
    first = jnp.asarray(checks.numbers("first", first))
    second = jnp.asarray(checks.numbers("second", second))
    if first.shape != second.shape:
        raise ValueError(f"first and second must agree, got shapes {first.shape}, {second.shape}")
    (first, _), (second, _) = in_range(1.0 * first), in_range(1.0 * second)
    u, v = first / jnp.linalg.norm(first), second / jnp.linalg.norm(second)
    # Accurate for small angles too, where an arc cosine is not.
    return jnp.rad2deg(2 * jnp.arctan2(jnp.linalg.norm(u - v), jnp.linalg.norm(u + v)))
