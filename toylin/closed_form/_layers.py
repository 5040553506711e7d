"""A deep linear model on one task, any widths: gradient, Hessian products, hypergradient.

With A_i = W_L ... W_{i+1}, B_i = W_{i-1} ... W_1 and the gradient G of the loss in the end-to-end
vector, for regression (w - theta)' xx - xe', the gradient in W_i is A_i' G B_i'. A tangent
direction V moves A_i, G and B_i; the Hessian product is the product rule written out.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from toylin.closed_form._end_to_end import Differentiable, curvature, slope
from toylin.models import Params, products_above, products_below
from toylin.rules import Rule
from toylin.rules._base import subtract


def grad(params: Params, data: Differentiable) -> Params:
    """The gradient A_i' G B_i' in every layer."""
    below, above = products_below(params), products_above(params)
    g = slope(below[-1], data)
    return tuple(a.T @ g @ b.T for a, b in zip(above, below[:-1], strict=True))


def hessian_product(params: Params, data: Differentiable, direction: Params) -> Params:
    """The Hessian of the loss in all layers together, times ``direction``."""
    below, above = products_below(params), products_above(params)
    d_below = [jnp.zeros_like(below[0])]
    for w, v, b in zip(params, direction, below[:-1], strict=True):
        d_below.append(v @ b + w @ d_below[-1])
    d_above = [jnp.zeros_like(above[-1])]
    for w, v, a in zip(params[:0:-1], direction[:0:-1], above[:0:-1], strict=True):
        d_above.append(d_above[-1] @ w + a @ v)
    d_above.reverse()
    g, d_g = slope(below[-1], data), curvature(below[-1], data, d_below[-1])
    return tuple(
        da.T @ g @ b.T + a.T @ d_g @ b.T + a.T @ g @ db.T
        for a, b, da, db in zip(above, below[:-1], d_above, d_below[:-1], strict=True)
    )


def descend(params: Params, data: Differentiable, rule: Rule) -> tuple[Params, Params]:
    """The parameters after all inner steps, and those before every step (stacked)."""

    def step(weights: Params, _: None) -> tuple[Params, Params]:
        grads = grad(weights, data)
        if rule.first_order:
            grads = jax.lax.stop_gradient(grads)
        return subtract(weights, rule.update(grads)), weights

    return jax.lax.scan(step, params, length=rule.steps, unroll=rule.steps <= 2)


def hypergradient(
    params: Params, support: Differentiable, query: Differentiable, rule: Rule
) -> Params:
    """The gradient of the adapted query loss in the start: prod_t (I - H_t U') times its own.

    H_t is the Hessian of the support loss before step t, and U the linear map ``rule.update``.
    """
    adapted, path = descend(params, support, rule)
    vector = grad(adapted, query)
    if rule.first_order:
        return vector
    transpose = jax.linear_transpose(rule.update, vector)

    def back(vector: Params, weights: Params) -> tuple[Params, None]:
        (direction,) = transpose(vector)
        return subtract(vector, hessian_product(weights, support, direction)), None

    return jax.lax.scan(
        back, vector, path, length=rule.steps, reverse=True, unroll=rule.steps <= 2
    )[0]
