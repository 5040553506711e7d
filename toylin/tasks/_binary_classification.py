"""Binary classification tasks with Gaussian inputs."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from toylin._internal import checks
from toylin._internal.dtypes import float_dtype
from toylin._internal.pytree import pytree_dataclass, static_field
from toylin._internal.shapes import Array, Float, PRNGKeyArray
from toylin.tasks._batch import Batch
from toylin.tasks._binary_data import BinaryMargins, BinaryMoments, BinaryPoints
from toylin.tasks._covariance import Covariance, correlate, covariance_matrix, covariance_root
from toylin.tasks._draws import normals, signs, uniform_rows
from toylin.tasks._law import check_sizes


@pytree_dataclass
class BinaryClassification:
    """Tasks with x | y ~ N(y m, Sigma), y = +-1 equally likely, m ~ N(0, mean_std² I).

    Args:
        dim: the dimension d of x.
        mean_std: the standard deviation of each coordinate of the class mean m.
        x_cov: Sigma, a number (that multiple of the identity) or shape (dim, dim).
        shots: the number of support points, both classes together; None for the population.

    Raises:
        ValueError: an argument is not finite, has the wrong shape, is no positive definite
            covariance, or is no positive number of shots.

    >>> batch = BinaryClassification(dim=2, shots=4).sample(jax.random.key(0), 3, num_queries=10)
    >>> batch.support.x.shape, batch.query.y.shape
    ((3, 4, 2), (3, 10))
    """

    outputs: ClassVar[int] = 1

    dim: int = static_field(default=1)
    mean_std: float | Float[Array, ""] = 1.0
    x_cov: Covariance = 1.0
    shots: int | None = static_field(default=None)

    def __post_init__(self) -> None:
        checks.integer("dim", self.dim, minimum=1)
        checks.scalar("mean_std", self.mean_std, minimum=0.0)
        checks.covariance("x_cov", self.x_cov, self.dim)
        checks.shots(self.shots)

    def population(self, mean: Float[Array, "*tasks dim"]) -> BinaryMoments:
        """The population of the task(s) with class means +-``mean``."""
        if (shape := checks.real("mean", mean))[-1:] != (self.dim,):
            raise ValueError(f"mean must have shape (..., {self.dim}), got {shape}")
        mean = jnp.asarray(mean)
        cov = covariance_matrix(self.x_cov, self.dim, mean.dtype)
        return BinaryMoments(mean, jnp.broadcast_to(cov, (*mean.shape[:-1], self.dim, self.dim)))

    def sample(
        self,
        key: PRNGKeyArray,
        num_tasks: int,
        num_queries: int | None = None,
        dtype: DTypeLike | None = None,
    ) -> Batch:
        """Draw tasks, their support points and their query points.

        As ``LinearRegression.sample``, with ``BinaryPoints`` (``BinaryMoments`` where the
        population is meant) and the class means in ``truth``.
        """
        check_sizes(key, num_tasks, num_queries)
        points = (self.shots or 0) + (num_queries or 0)
        check_sizes(key, num_tasks, num_queries, (self.dim + 1) * points + self.dim)
        return self._sample(key, num_tasks, num_queries, float_dtype(dtype))

    @partial(jax.jit, static_argnames=("num_tasks", "num_queries", "dtype"))
    def _sample(
        self, key: PRNGKeyArray, num_tasks: int, num_queries: int | None, dtype: np.dtype
    ) -> Batch:
        sizes = (self.shots, num_queries)
        counts = [n for points in sizes for n in ((points or 0) * self.dim, points or 0)]
        u, *rows = uniform_rows(key, [self.dim, *counts], num_tasks, dtype)
        mean = self.mean_std * normals(u).T
        return Batch(
            self._show(self.shots, rows[:2], mean), self._show(num_queries, rows[2:], mean), mean
        )

    def _show(
        self, points: int | None, rows: list[Array], mean: Array
    ) -> BinaryPoints | BinaryMoments:
        if points is None:
            return self.population(mean)
        x, y = rows
        labels = signs(y).T
        z = normals(x).T.reshape(len(mean), points, self.dim)
        x = labels[..., None] * mean[:, None, :] + correlate(z, self.x_cov, self.dim)
        return BinaryPoints(x=x, y=labels)

    def sample_support(
        self, key: PRNGKeyArray, truth: Float[Array, "tasks dim"]
    ) -> BinaryPoints | BinaryMoments:
        """Draw what tasks with these class means adapt on.

        Args:
            key: a JAX random key.
            truth: the class mean m of every task.
        """
        checks.key("key", key)
        checks.float_leaves("truth", truth)
        if (shape := checks.real("truth", truth))[1:] != (self.dim,):
            raise ValueError(f"truth must have shape (tasks, {self.dim}), got {shape}")
        points = self.shots or 0
        rows = uniform_rows(key, [points * self.dim, points], len(truth), truth.dtype)
        return self._show(self.shots, rows, truth)

    def sample_margins(
        self,
        key: PRNGKeyArray,
        num_tasks: int,
        num_queries: int,
        dtype: DTypeLike | None = None,
    ) -> Batch:
        """Draw tasks to be scored once: ``BinaryMargins`` for queries, support points with y = 1.

        Loss and gradient in the parameters have the law that ``sample`` gives them (a support
        point (x, y) enters as y x only), with fewer than half the draws.
        """
        checks.integer("num_queries", num_queries, minimum=1)
        check_sizes(key, num_tasks, num_queries, (self.shots or 0) * self.dim + num_queries)
        dtype = float_dtype(dtype)
        size = (self.shots or 0) * self.dim
        rows = uniform_rows(key, [self.dim + size + num_queries + self.dim], num_tasks, dtype)[0]
        # A row a task and made once: all else are parts of it.
        mean, x, margins, rest = jnp.split(
            normals(rows).T, np.cumsum([self.dim, size, num_queries]), axis=1
        )
        mean = self.mean_std * mean
        support: BinaryPoints | BinaryMoments = self.population(mean)
        if self.shots is not None:
            z = x.reshape(num_tasks, self.shots, self.dim)
            x = mean[:, None, :] + correlate(z, self.x_cov, self.dim)
            support = BinaryPoints(x=x, y=jnp.ones(x.shape[:-1], x.dtype))
        cov = jnp.asarray(self.x_cov, dtype)
        root = jnp.sqrt(cov) if cov.ndim == 0 else covariance_root(cov, self.dim, dtype)
        root = jnp.broadcast_to(root, (num_tasks, *root.shape))
        return Batch(support, BinaryMargins(mean, root, margins, rest), mean)
