"""The scalar problem, f(x) = w_L ... w_1 x, on many tasks or nodes at once, element by element.

With c_i the product of all weights but w_i, and g = S (p - theta) - n, p the product of all, an
inner step is w_i <- w_i - a_i g c_i. The Hessian is S c_i c_j + g c_ij, c_ij the product without
both. Every quantity is an array over tasks; a model is a tuple of L of them. A rule that is a
linear map of gradients is a step size a_i for every layer here: alpha for MAML, 0 for a layer that
ANIL holds, Meta-SGD's own, alpha times both Kronecker factors.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from toylin._internal.loops import repeat, there_and_back
from toylin._internal.shapes import Array, Float
from toylin.models import Params
from toylin.rules import Reptile, Rule, subtract
from toylin.tasks import RegressionMoments

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


def step_sizes(rule: Rule, depth: int, dtype: np.dtype) -> Weights:
    """a_1, ..., a_L: the rule's update of a gradient of ones."""
    ones = jnp.ones((1, 1), dtype)
    return tuple(u[0, 0] for u in rule.update((ones,) * depth))


def _step(support: RegressionMoments, rule: Rule, depth: int) -> Callable[[Weights], Weights]:
    sizes = step_sizes(rule, depth, support.ee.dtype)

    def step(w: Weights) -> Weights:
        g, c = _slope(w, support)
        if rule.first_order:
            g, c = jax.lax.stop_gradient((g, c))
        return tuple(x - a * g * y for x, a, y in zip(w, sizes, c, strict=True))

    return step


def _spread(params: Params, support: RegressionMoments) -> Weights:
    return tuple(jnp.broadcast_to(w[0, 0], support.ee.shape) for w in params)


def _adapt(start: Weights, support: RegressionMoments, rule: Rule, remat: bool) -> Weights:
    return repeat(_step(support, rule, len(start)), start, rule.steps, remat)


def task_losses(
    params: Params, support: RegressionMoments, query: RegressionMoments, rule: Rule, remat: bool
) -> Float[Array, " tasks"]:
    """Every task's (or node's) query loss after adaptation."""
    return _losses(_adapt(_spread(params, support), support, rule, remat), query)


def losses_and_grads(
    params: Params, support: RegressionMoments, query: RegressionMoments, rule: Rule, remat: bool
) -> tuple[Float[Array, " tasks"], Params]:
    """Every task's query loss after adaptation, and its gradient in the start.

    The gradient is prod_t (I - H_t diag(a)) times that of the query loss. To first order it is the
    latter alone, and Reptile's direction is the start minus the adapted weights.
    """
    start = _spread(params, support)
    if rule.first_order:
        adapted = _adapt(start, support, rule, remat)
        grads = subtract(start, adapted) if isinstance(rule, Reptile) else _grad(adapted, query)
    else:
        step, back = _step(support, rule, len(start)), _back(support, rule, len(start))
        adapted, grads = there_and_back(
            step, back, lambda w: _grad(w, query), start, rule.steps, remat
        )
    return _losses(adapted, query), tuple(g[:, None, None] for g in grads)


def _grad(w: Weights, data: RegressionMoments) -> Weights:
    g, c = _slope(w, data)
    return tuple(g * x for x in c)


def _back(
    support: RegressionMoments, rule: Rule, depth: int
) -> Callable[[Weights, Weights], Weights]:
    """A vector times I - H diag(a), H the Hessian of the support loss."""
    sizes = step_sizes(rule, depth, support.ee.dtype)

    def back(v: Weights, w: Weights) -> Weights:
        g, c = _slope(w, support)
        u = tuple(a * x for a, x in zip(sizes, v, strict=True))
        along = support.xx[:, 0, 0] * sum(x * y for x, y in zip(c, u, strict=True))
        return tuple(
            x - (along * y + g * dy) for x, y, dy in zip(v, c, d_others(w, u), strict=True)
        )

    return back
