"""MAML on inputs of many numbers: no task gets a first layer of its own.

With X the inputs of the support, a row a point, B the product of the layers above the first and E
the gradient of the loss in the outputs, a row a point, a step takes step_size B'E'X from W_1 and
step_size times the gradient in B, E'X W_1', through the layers that make B, from those. So W_1 of a
task is W_1 - C'X, for one C of as many rows as there are points, and all that is needed of it is
its products with the few rows of E'X and of B: what adapts a task is as small as its outputs.
Exact: only the order of sums differs.
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
    return jax.vmap(lambda query, outputs: seen(query, outputs).loss(None, shown))(
        batch.query, query_outputs(params, batch, rule)
    )


def query_outputs(params: Params, batch: Batch, rule: Rule) -> Float[Array, "tasks points outputs"]:
    """Every task's outputs at its query points after adaptation."""
    first, *upper = params
    support: Any = batch.support
    outputs, points = upper[-1].shape[0], support.x.shape[1]
    rows_are_fewer = 2 * outputs * rule.steps <= points
    images = None if rows_are_fewer else support.x @ first.T

    def one(support: Any, query: Any, images: Array | None) -> Array:
        x = support.x

        def at_support(above: Array, moved: Array | None) -> Array:
            """The outputs of the support."""
            z = x @ (above @ first).T if images is None else images @ above.T
            return z if moved is None else z - x @ (above @ moved.T @ x).T

        def in_hidden(slope: Array, moved: Array | None) -> Array:
            """The gradient in the product of the layers above, E'X times W_1 of the task."""
            rows = slope.T @ x
            start = rows @ first.T if images is None else slope.T @ images
            return start if moved is None else start - rows @ x.T @ moved

        def step(moved: Array | None, upper: list[Array]) -> tuple[Array, list[Array]]:
            above, back = jax.vjp(_product, upper)
            slope = jax.grad(lambda z: seen(support, z).loss(None, shown))(at_support(above, moved))
            grads = slope, back(in_hidden(slope, moved))[0]
            if rule.first_order:
                grads, above = jax.lax.stop_gradient((grads, above))
            slope, updates = rule.update(grads)
            change = slope @ above
            moved = change if moved is None else moved + change
            return moved, [w - u for w, u in zip(upper, updates, strict=True)]

        # The first step apart: nothing has moved yet, and often there is no other.
        moved, last = repeat(lambda carry: step(*carry), step(None, upper), rule.steps - 1)
        above = _product(last)
        return query.x @ (above @ first - above @ moved.T @ x).T

    return jax.vmap(one)(support, batch.query, images)


def _product(upper: list[Array]) -> Array:
    """Of the layers above the first."""
    return reduce(lambda product, w: w @ product, upper)


def seen(data: Any, outputs: Array) -> Any:
    """``data`` with these outputs in place of its inputs, for the model ``shown``."""
    return dataclasses.replace(data, x=outputs)


def shown(_: None, outputs: Array) -> Array:
    """The model of such data: a row a point, or a number where there is one output."""
    return outputs[:, 0] if outputs.shape[1] == 1 else outputs
