"""Tasks side by side, and means over them."""

from __future__ import annotations

from typing import TypeAlias

import jax.numpy as jnp

from toylin._internal.pytree import pytree_dataclass
from toylin._internal.shapes import Array, Float
from toylin.tasks._binary_data import BinaryMargins, BinaryMoments, BinaryPoints
from toylin.tasks._regression_data import RegressionMoments, RegressionPoints

Data: TypeAlias = (
    RegressionPoints | RegressionMoments | BinaryPoints | BinaryMoments | BinaryMargins
)


@pytree_dataclass
class Batch:
    """Tasks side by side: what each adapts on, what it is scored on, and its true parameter.

    Every array has a leading axis of tasks. ``log_weight`` is None for equally likely sampled
    tasks; for the nodes of a quadrature it holds the logarithms of their weights, which sum to 1,
    and ``truth`` is NaN where a node stands for many tasks of one estimate.
    """

    support: Data
    query: Data
    truth: Float[Array, "tasks dim"]
    log_weight: Float[Array, " tasks"] | None = None

    @property
    def num_tasks(self) -> int:
        """How many tasks (or nodes) there are."""
        return self.truth.shape[0]


def weighted_mean(values: Float[Array, " tasks *shape"], batch: Batch) -> Float[Array, "*shape"]:
    """The mean of ``values`` over the tasks or, by their weights, over the nodes.

    A weight far in the tail may be too small for a float while its value is nearly too large for
    one; multiplying by its square root twice keeps their product.
    """
    if batch.log_weight is None:
        return jnp.mean(values, axis=0)
    root = jnp.exp(0.5 * batch.log_weight).astype(values.dtype)
    root = root.reshape(-1, *[1] * (values.ndim - 1))
    return jnp.sum(root * (root * values), axis=0)


def mean_loss(losses: Float[Array, " tasks"], batch: Batch) -> Float[Array, ""]:
    """``weighted_mean``, but ``inf`` where adaptation at a node leaves the range of floats.

    NaN parameters, which spoil every node, still show as NaN.
    """
    mean = weighted_mean(losses, batch)
    if batch.log_weight is None:
        return mean
    overflow = ~jnp.all(jnp.isfinite(losses)) & ~jnp.all(jnp.isnan(losses))
    return jnp.where(overflow, jnp.inf, mean)
