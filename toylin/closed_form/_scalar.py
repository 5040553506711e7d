"""The scalar problem, f(x) = w_L ... w_1 x, on many tasks or nodes at once, element by element.

With c_i the product of all weights but w_i, and g = S (p - theta) - n, p the product of all, an
inner step is w_i <- w_i - alpha g c_i. The Hessian is S c_i c_j + g c_ij, c_ij the product without
both. Every quantity is an array over tasks; a model is a tuple of L of them.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from toylin.data import RegressionMoments
from toylin.model import Scalar

Weights = tuple[Array, ...]


def others(w: Weights) -> Weights:
    """c_i = prod_{j != i} w_j, by products from both ends (no division: a weight may be zero)."""
    one = jnp.ones_like(w[0])
    before, after = [one], [one]
    for x in w[:-1]:
        before.append(before[-1] * x)
    for x in w[:0:-1]:
        after.append(after[-1] * x)
    return tuple(a * b for a, b in zip(before, reversed(after), strict=True))


def d_others(w: Weights, v: Weights) -> Weights:
    """sum_{j != i} c_ij v_j: how c_i moves when the weights move along ``v``."""
    one, zero = jnp.ones_like(w[0]), jnp.zeros_like(w[0])
    before, after = [(one, zero)], [(one, zero)]
    for x, dx in zip(w[:-1], v[:-1], strict=True):
        p, dp = before[-1]
        before.append((p * x, dp * x + p * dx))
    for x, dx in zip(w[:0:-1], v[:0:-1], strict=True):
        p, dp = after[-1]
        after.append((p * x, dp * x + p * dx))
    return tuple(dp * q + p * dq for (p, dp), (q, dq) in zip(before, reversed(after), strict=True))


def _moments(data: RegressionMoments) -> tuple[Array, Array, Array, Array]:
    return data.xx[:, 0, 0], data.theta[:, 0], data.xe[:, 0], data.ee


def _slope(w: Weights, data: RegressionMoments) -> tuple[Array, Weights]:
    """g and all c_i."""
    xx, theta, xe, _ = _moments(data)
    c = others(w)
    return xx * (c[0] * w[0] - theta) - xe, c


def _losses(w: Weights, query: RegressionMoments) -> Array:
    xx, theta, xe, ee = _moments(query)
    error = others(w)[0] * w[0] - theta
    return 0.5 * (error * (xx * error - 2 * xe) + ee)


def _path(
    w: Weights, support: RegressionMoments, step_size: Scalar, steps: int, first_order: bool
) -> tuple[Weights, Weights]:
    """The adapted weights, and the weights before every step (stacked)."""

    def step(w: Weights, _: None) -> tuple[Weights, Weights]:
        g, c = _slope(w, support)
        if first_order:
            g, c = jax.lax.stop_gradient((g, c))
        return tuple(x - step_size * g * y for x, y in zip(w, c, strict=True)), w

    return jax.lax.scan(step, w, length=steps, unroll=steps <= 2)


def _spread(params: tuple[Array, ...], support: RegressionMoments) -> Weights:
    return tuple(jnp.broadcast_to(w[0, 0], support.ee.shape) for w in params)


def task_losses(
    params: tuple[Array, ...],
    support: RegressionMoments,
    query: RegressionMoments,
    step_size: Scalar,
    steps: int,
    first_order: bool,
) -> Float[Array, " tasks"]:
    """Every task's (or node's) query loss after adaptation."""
    adapted, _ = _path(_spread(params, support), support, step_size, steps, first_order)
    return _losses(adapted, query)


def hypergradients(
    params: tuple[Array, ...],
    support: RegressionMoments,
    query: RegressionMoments,
    step_size: Scalar,
    steps: int,
    first_order: bool,
) -> tuple[Float[Array, "tasks 1 1"], ...]:
    """Every task's gradient: prod_t (I - alpha H_t) times that of the adapted query loss."""
    adapted, path = _path(_spread(params, support), support, step_size, steps, first_order)

    def back(v: Weights, w: Weights) -> tuple[Weights, None]:
        g, c = _slope(w, support)
        along = support.xx[:, 0, 0] * sum(x * y for x, y in zip(c, v, strict=True))
        return tuple(
            x - step_size * (along * y + g * dy)
            for x, y, dy in zip(v, c, d_others(w, v), strict=True)
        ), None

    g, c = _slope(adapted, query)
    vector = tuple(g * x for x in c)
    if not first_order:
        vector, _ = jax.lax.scan(back, vector, path, reverse=True, length=steps, unroll=steps <= 2)
    return tuple(v[:, None, None] for v in vector)
