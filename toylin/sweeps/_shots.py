"""Exact losses of scalar regression at any number of shots by one program: the shots as data."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from toylin._internal.shapes import Array, Float
from toylin.quadrature import gauss_gamma, gauss_normal, nodes_for_degree
from toylin.tasks import (
    Batch,
    LinearRegression,
    estimate_and_posterior,
    loss_degrees,
    too_many_nodes,
)


class ShotsTable(NamedTuple):
    """For each number of shots, the Gauss nodes of S / x_cov, their log weights, and 1/K."""

    second_moment: Float[np.ndarray, "rows nodes"]
    log_weight: Float[np.ndarray, "rows nodes"]
    per_shot: Float[np.ndarray, " rows"]


def shots_table(shots: tuple[int | None, ...], depth: int, steps: int) -> ShotsTable:
    """Nodes that are exact for every one of ``shots``; the population has S = x_cov throughout.

    Raises:
        ValueError: more nodes would be needed than an exact expectation may have.
    """
    finite = [k for k in shots if k is not None]
    tasks = LinearRegression(shots=finite[0] if finite else None)
    if wanted := too_many_nodes(tasks, depth, steps):
        raise ValueError(
            f"an exact expectation at depth={depth}, steps={steps} needs {wanted}; use "
            "loss='sampled'"
        )
    num = nodes_for_degree(loss_degrees(depth, steps)[1]) if finite else 1
    points, weights = [], []
    for k in shots:
        g, weight = gauss_gamma(num, k / 2) if k else (np.ones(num), np.full(num, -np.log(num)))
        points.append(2 / k * g if k else g)
        weights.append(weight)
    per_shot = np.array([1 / k if k else 0.0 for k in shots])
    return ShotsTable(np.stack(points), np.stack(weights), per_shot)


def nodes_at(
    tasks: LinearRegression, table: ShotsTable, row: Array, degree: int, dtype: Any
) -> Batch:
    """As ``quadrature_batch``, with the number of shots in a row of the table.

    ``degree`` is that of the loss in theta.
    """
    z, z_weight = gauss_normal(nodes_for_degree(degree))
    ratio, log_weight, per_shot = (jnp.asarray(column, dtype)[row] for column in table)
    spread = jnp.asarray(tasks.x_cov, dtype).reshape(())
    grids = jnp.meshgrid(jnp.asarray(z, dtype), spread * ratio)
    grid_z, second_moment = (grid.ravel() for grid in grids)
    weights = (log_weight[:, None] + jnp.asarray(z_weight, dtype)).ravel()
    support, query = estimate_and_posterior(tasks, second_moment, grid_z, dtype, per_shot)
    return Batch(support, query, jnp.zeros((grid_z.size, 1), dtype), weights)
