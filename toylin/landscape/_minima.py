"""The distance to the nearest minimum of the outer loss, where the minima are known."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from toylin._internal.shapes import Array, Float
from toylin.models import Params, Scalar, is_scalar
from toylin.rules import MAML
from toylin.tasks import LinearRegression

_BISECTIONS = 100


def distance_to_minimum(
    params: Params, tasks: LinearRegression, rule: Any
) -> Float[Array, ""] | None:
    """The distance in parameter space to the nearest global minimum; None where none is known.

    Known under MAML: the shallow model's minimum, the mean of theta; and for the deep scalar model,
    one step and the population, all points with one weight 0 and the product of the others
    +-1 / sqrt(alpha x_cov), on which one step fits every task. Those exist for alpha > 0; for
    other step sizes the distance is NaN.
    """
    if not isinstance(rule, MAML):
        return None
    if len(params) == 1:
        return jnp.linalg.norm(params[0][0] - tasks.theta_mean)
    if not is_scalar(params) or rule.steps != 1:
        return None
    weights = jnp.stack([w[0, 0] for w in params])
    spread = jnp.asarray(tasks.x_cov, weights.dtype).reshape(())
    curvature = rule.step_size * spread
    product = 1 / jnp.sqrt(jnp.where(curvature > 0, curvature, jnp.nan))
    away = [weights[i] ** 2 + _square_to_product(weights, i, product) for i in range(len(params))]
    return jnp.sqrt(jnp.min(jnp.stack(away)))


def _square_to_product(weights: Array, left_out: int, product: Scalar) -> Array:
    """The squared distance of the weights but one to the surface |product of them| = ``product``.

    By symmetry the nearest point has their signs, so take v = |weights|. It is stationary where
    u_j (u_j - v_j) = m for one multiplier m: u_j = (v_j + sqrt(v_j² + 4 m)) / 2, whose product
    increases with m >= m_0 = -min(v)²/4. Where it is too large at m_0 already, the smallest
    coordinate takes the other root, and the product falls to 0 as m goes from m_0 to 0.
    """
    v = jnp.sort(jnp.abs(jnp.delete(weights, left_out, assume_unique_indices=True)))
    lowest = -(v[0] ** 2) / 4

    def point(multiplier: Array, sign: Array) -> Array:
        roots = jnp.sqrt(jnp.maximum(v**2 + 4 * multiplier, 0.0))
        return (v + roots * jnp.where(jnp.arange(v.size) == 0, sign, 1.0)) / 2

    beyond = jnp.prod(point(lowest, jnp.ones_like(lowest))) > product
    sign = jnp.where(beyond, -1.0, 1.0).astype(v.dtype)
    # At m = q² + q max(v), every root is at least q = product^(1/n), so that their product is.
    each = product ** (1 / v.size)
    low, high = lowest, jnp.where(beyond, 0.0, each**2 + each * v[-1])

    def halve(_: Any, bracket: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bracket
        middle = (low + high) / 2
        # On the first branch the product grows with m, on the second it falls.
        right = (jnp.prod(point(middle, sign)) < product) != beyond
        return jnp.where(right, middle, low), jnp.where(right, high, middle)

    low, high = jax.lax.fori_loop(0, _BISECTIONS, halve, (low, high))
    return jnp.sum((point((low + high) / 2, sign) - v) ** 2)
