"""Tasks side by side, and means over them."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from toylin._internal import checks
from toylin._internal.pytree import pytree_dataclass
from toylin._internal.shapes import Array, Float
from toylin.tasks._data import Data


@pytree_dataclass
class Batch:
    """Tasks side by side: what each adapts on, what it is scored on, and its true parameter.

    Args:
        support: what every task adapts on, any ``Data`` whose arrays have a leading axis of tasks.
        query: what it is scored on, likewise.
        truth: the true parameter of every task, where there is one; NaN where a node stands for
            many tasks of one estimate.
        log_weight: None for equally likely sampled tasks; for the nodes of a quadrature the
            logarithms of their weights, which sum to 1.

    Raises:
        ValueError: support and query of different kinds, no tasks, or arrays that do not all have
            one entry a task.

    >>> from toylin.tasks import RegressionPoints
    >>> points = RegressionPoints(x=jax.numpy.ones((2, 5, 3)), y=jax.numpy.ones((2, 5)))
    >>> Batch(support=points, query=points).num_tasks  # of 5 points in 3 dimensions
    2
    """

    support: Data
    query: Data
    truth: Float[Array, "tasks dim"] | Float[Array, "tasks outputs dim"] | None = None
    log_weight: Float[Array, " tasks"] | None = None

    def __post_init__(self) -> None:
        for name in ("support", "query"):
            _check_data(name, getattr(self, name))
        kinds = [getattr(data, "kind", None) for data in (self.support, self.query)]
        if None not in kinds and kinds[0] != kinds[1]:
            raise ValueError(
                f"support and query must be of one kind, got {kinds[0]} and {kinds[1]} data"
            )
        num = self.num_tasks
        for name in ("support", "query", "truth"):
            for leaf in jax.tree.leaves(getattr(self, name)):
                if np.shape(leaf)[:1] != (num,):
                    raise ValueError(
                        f"{name} must hold one entry for each of the {num} tasks of support, got "
                        f"an array of shape {np.shape(leaf)}"
                    )
        if self.log_weight is not None and checks.shape_of("log_weight", self.log_weight) != (num,):
            raise ValueError(
                f"log_weight must have shape ({num},), one a task, got {np.shape(self.log_weight)}"
            )

    @property
    def num_tasks(self) -> int:
        """How many tasks (or nodes) there are."""
        return np.shape(jax.tree.leaves(self.support)[0])[0]


def _check_data(name: str, data: Any) -> None:
    if not isinstance(data, Data):
        raise ValueError(
            f"{name} must be what tasks show, a pytree with a method loss(params, model), "
            f"got {type(data).__name__}"
        )
    leaves = jax.tree.leaves(data)
    if not leaves or not np.shape(leaves[0]) or np.shape(leaves[0])[0] == 0:
        raise ValueError(f"{name} must hold at least one task, got {data!r}")
    if hasattr(data, "check_axes"):
        try:
            data.check_axes(1)
        except ValueError as error:
            raise ValueError(f"{name} of a batch: {error}") from None


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


def mean_loss(losses: Float[Array, " tasks"], batch: Batch, given: Any) -> Float[Array, ""]:
    """``weighted_mean``, but ``inf`` where adaptation at a node leaves the range of floats.

    ``given`` is what the losses were computed from beside the batch: the parameters and the rule.
    """
    mean = weighted_mean(losses, batch)
    if batch.log_weight is None:
        return mean
    return beyond_floats_infinite(mean, (given, batch.support, batch.query))


def beyond_floats_infinite(loss: Float[Array, ""], given: Any) -> Float[Array, ""]:
    """A loss that is NaN though all it is computed from is finite has left floats: ``inf``.

    NaN parameters still show as NaN. Its gradient stays what it is: NaN or infinite in every entry
    that left floats too.
    """
    finite = [jnp.all(jnp.isfinite(x)) for x in jax.tree.leaves(given)]
    return _infinite_where(jnp.isnan(loss) & jnp.all(jnp.stack(finite)), loss)


@jax.custom_jvp
def _infinite_where(overflow: Array, loss: Array) -> Array:
    """``where(overflow, inf, loss)``, which would have a gradient of zero."""
    return jnp.where(overflow, jnp.inf, loss)


@_infinite_where.defjvp
def _infinite_where_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    return _infinite_where(*primals), tangents[1]
