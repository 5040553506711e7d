"""MAML on inputs of many numbers: the first layer moves in the span of its support points.

A gradient step changes W_1 by -step_size D'X, X the support's K inputs and D the loss's gradient in
their images under W_1. After any number of steps W_1 is its start less C'X, and all that support
and query see of it are W_1 x and the products x.X'. So the images of all tasks' points are one
large product of matrices, the steps are taken on C, of K rows, and no task has a W_1 of its own.
Exact: only the order of sums differs.
"""

from __future__ import annotations

import dataclasses
from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from toylin._internal.loops import repeat
from toylin._internal.shapes import Array, Float
from toylin.models import Model, Params, predict
from toylin.rules import MAML, Rule
from toylin.tasks import Batch, BinaryPoints, ClassPoints, RegressionPoints

_LEAST_DIM = 64  # below, matrices are small either way


def serves(params: Any, batch: Batch, rule: Rule, model: Model) -> bool:
    """Whether this is MAML of the deep linear model on few points of many numbers."""
    points = RegressionPoints | BinaryPoints | ClassPoints
    if model is not predict or type(rule) is not MAML or not rule.steps:
        return False
    if not isinstance(batch.support, points) or not isinstance(batch.query, points):
        return False
    _, support, dim = np.shape(batch.support.x)
    return dim >= _LEAST_DIM and 2 * support <= dim


def task_losses(params: Params, batch: Batch, rule: MAML) -> Float[Array, " tasks"]:
    """Every task's query loss after adaptation."""
    first, *upper = params
    support, query = batch.support, batch.query
    x = jnp.concatenate([support.x, query.x], axis=1)  # type: ignore[attr-defined]
    num, points, dim = x.shape
    images = (x.reshape(-1, dim) @ first.T).reshape(num, points, -1)
    # The few in front: this shape of product is the faster one on CPU.
    products = jnp.einsum("tkd,tid->tki", support.x, x)  # type: ignore[attr-defined]

    def one(support: Any, query: Any, images: Array, products: Array) -> Array:
        number = len(support.y)
        at_support, at_query = images[:number], images[number:]
        along_support, along_query = products[:, :number], products[:, number:]

        def loss(at: Array, upper: list[Array]) -> Array:
            return dataclasses.replace(support, x=at).loss(upper, _above)

        def step(carry: tuple[Array, list[Array]]) -> tuple[Array, list[Array]]:
            moved, upper = carry
            grads = jax.grad(loss, (0, 1))(at_support - along_support.T @ moved, upper)
            if rule.first_order:
                grads = jax.lax.stop_gradient(grads)
            slope, updates = rule.update(grads)
            return moved + slope, [w - u for w, u in zip(upper, updates, strict=True)]

        start = jnp.zeros_like(at_support), upper
        moved, above = repeat(step, start, rule.steps)
        at = at_query - along_query.T @ moved
        return dataclasses.replace(query, x=at).loss(above, _above)

    return jax.vmap(one)(
        *(dataclasses.replace(data, x=data.x[..., :1]) for data in (support, query)),
        images,
        products,
    )


def _above(upper: list[Array], images: Array) -> Array:
    """The layers above the first, as a model of its images."""
    outputs = reduce(lambda x, w: x @ w.T, upper, images)
    return outputs[:, 0] if outputs.shape[1] == 1 else outputs
