"""MAML on inputs of many numbers: no task gets a first layer of its own.

With A the product of the layers above the first and E the loss's gradient in the outputs, a row a
support point, a step changes W_1 by -step_size A'E'X, X the support's inputs. All that the layers
above see of W_1 are the images W_1 x of the points, which change by the products of x with the few
rows of E'X. So the images of all tasks' points are one large product of matrices, and what adapts
a task is as small as its outputs. Exact: only the order of sums differs.
"""

from __future__ import annotations

import dataclasses
from functools import reduce
from typing import Any

import jax
import numpy as np

from toylin._internal.loops import repeat
from toylin._internal.shapes import Array, Float
from toylin.models import Model, Params, predict
from toylin.rules import MAML, Rule
from toylin.tasks import Batch, BinaryPoints, ClassPoints, RegressionPoints

_LEAST_DIM = 64  # below, matrices are small either way


def serves(params: Any, batch: Batch, rule: Rule, model: Model) -> bool:
    """Whether this is MAML of the deep linear model on points of many numbers, to few outputs."""
    points = RegressionPoints | BinaryPoints | ClassPoints
    if model is not predict or type(rule) is not MAML or not rule.steps:
        return False
    if not isinstance(batch.support, points) or not isinstance(batch.query, points):
        return False
    dim, outputs = np.shape(params[0])[1], np.shape(params[-1])[0]
    return dim >= _LEAST_DIM and 2 * outputs <= np.shape(params[0])[0]


def task_losses(params: Params, batch: Batch, rule: Rule) -> Float[Array, " tasks"]:
    """Every task's query loss after adaptation."""
    first, *upper = params

    def one(support: Any, query: Any, at_support: Array, at_query: Array) -> Array:
        def step(carry: tuple[Array, Array, list[Array]]) -> tuple[Array, Array, list[Array]]:
            at_support, at_query, upper = carry
            outputs, back = jax.vjp(_outputs, upper, at_support)
            slope = jax.grad(lambda z: _loss(support, z))(outputs)
            grads = slope, back(slope)[0]
            if rule.first_order:
                grads = jax.lax.stop_gradient(grads)
            slope, updates = rule.update(grads)
            rows, above = slope.T @ support.x, reduce(lambda a, w: w @ a, upper)
            if rule.first_order:
                above = jax.lax.stop_gradient(above)
            moved = [
                at - (x @ rows.T) @ above
                for at, x in ((at_support, support.x), (at_query, query.x))
            ]
            return *moved, [w - u for w, u in zip(upper, updates, strict=True)]

        _, at_query, above = repeat(step, (at_support, at_query, upper), rule.steps)
        return _loss(query, _outputs(above, at_query))

    def images(data: Any) -> Array:
        flat = data.x.reshape(-1, data.x.shape[-1]) @ first.T
        return flat.reshape(*data.x.shape[:-1], -1)

    support, query = batch.support, batch.query
    return jax.vmap(one)(support, query, images(support), images(query))


def _outputs(upper: list[Array], images: Array) -> Array:
    """What the layers above the first make of its images."""
    return reduce(lambda x, w: x @ w.T, upper, images)


def _loss(data: Any, outputs: Array) -> Array:
    """The loss of data to whose points a model has given these outputs."""
    shown = outputs[:, 0] if outputs.shape[1] == 1 else outputs
    return dataclasses.replace(data, x=outputs).loss(None, lambda _, __: shown)
