"""A deep linear model on one task, any widths: gradient, Hessian products, hypergradient.

With A_i = W_L ... W_{i+1}, B_i = W_{i-1} ... W_1 and the gradient G of the loss in the end-to-end
vector, for regression (w - theta)' xx - xe', the gradient in W_i is A_i' G B_i'. A tangent
direction V moves A_i, G and B_i; the Hessian product is the product rule written out.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from toylin._internal.loops import repeat, there_and_back
from toylin._internal.shapes import Array, Float
from toylin.closed_form._end_to_end import Differentiable, curvature, slope
from toylin.models import Params, products_above, products_below
from toylin.rules import Reptile, Rule, subtract


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


def _step(data: Differentiable, rule: Rule) -> Callable[[Params], Params]:
    def step(weights: Params) -> Params:
        grads = grad(weights, data)
        if rule.first_order:
            grads = jax.lax.stop_gradient(grads)
        return subtract(weights, rule.update(grads))

    return step


def adapt(params: Params, data: Differentiable, rule: Rule, remat: bool) -> Params:
    """The parameters of one task after all inner steps."""
    return repeat(_step(data, rule), params, rule.steps, remat)


def task_losses(
    params: Params, support: Differentiable, query: Differentiable, rule: Rule, remat: bool
) -> Float[Array, " tasks"]:
    """Every task's query loss after adaptation; data with a leading axis of tasks."""

    def one(support: Differentiable, query: Differentiable) -> Array:
        return query.loss(adapt(params, support, rule, remat))

    return jax.vmap(one)(support, query)


def losses_and_grads(
    params: Params, support: Differentiable, query: Differentiable, rule: Rule, remat: bool
) -> tuple[Float[Array, " tasks"], Params]:
    """Every task's query loss after adaptation, and its gradient in the start.

    The gradient is prod_t (I - H_t U') times that of the query loss, H_t the Hessian of the support
    loss before step t and U the linear map ``rule.update``. To first order it is the latter alone,
    and Reptile's direction is the start minus the adapted parameters.
    """

    def one(support: Differentiable, query: Differentiable) -> tuple[Array, Params]:
        if rule.first_order:
            adapted = adapt(params, support, rule, remat)
            reptile = isinstance(rule, Reptile)
            grads = subtract(params, adapted) if reptile else grad(adapted, query)
            return query.loss(adapted), grads
        transpose = jax.linear_transpose(rule.update, params)

        def back(vector: Params, weights: Params) -> Params:
            (direction,) = transpose(vector)
            return subtract(vector, hessian_product(weights, support, direction))

        adapted, grads = there_and_back(
            _step(support, rule), back, lambda w: grad(w, query), params, rule.steps, remat
        )
        return query.loss(adapted), grads

    return jax.vmap(one)(support, query)
