"""Binary classification tasks with Gaussian inputs."""

from __future__ import annotations

from functools import partial

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
    """

    dim: int = static_field(default=1)
    mean_std: float | Float[Array, ""] = 1.0
    x_cov: Covariance = 1.0
    shots: int | None = static_field(default=None)

    def __post_init__(self) -> None:
        checks.integer("dim", self.dim, minimum=1)
        checks.scalar("mean_std", self.mean_std, minimum=0.0)
        checks.covariance("x_cov", self.x_cov, self.dim)
        if self.shots is not None:
            checks.integer("shots", self.shots, minimum=1)

    def population(self, mean: Float[Array, "*tasks dim"]) -> BinaryMoments:
        """The population of the task(s) with class means +-``mean``."""
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
        return self._sample(key, num_tasks, num_queries, float_dtype(dtype))

    @partial(jax.jit, static_argnames=("num_tasks", "num_queries", "dtype"))
    def _sample(
        self, key: PRNGKeyArray, num_tasks: int, num_queries: int | None, dtype: np.dtype
    ) -> Batch:
        key_mean, key_support, key_query = jax.random.split(key, 3)
        mean = self.mean_std * jax.random.normal(key_mean, (num_tasks, self.dim), dtype)
        return Batch(
            support=self._points(key_support, mean, self.shots),
            query=self._points(key_query, mean, num_queries),
            truth=mean,
        )

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
        check_sizes(key, num_tasks, num_queries)
        key_mean, key_x, key_query = jax.random.split(key, 3)
        float_type = float_dtype(dtype)
        mean = self.mean_std * jax.random.normal(key_mean, (num_tasks, self.dim), float_type)
        support: BinaryPoints | BinaryMoments = self.population(mean)
        if self.shots is not None:
            z = jax.random.normal(key_x, (num_tasks, self.shots, self.dim), float_type)
            x = mean[:, None, :] + correlate(z, self.x_cov, self.dim)
            support = BinaryPoints(x=x, y=jnp.ones(x.shape[:-1], x.dtype))
        z = jax.random.normal(key_query, (num_tasks, num_queries + self.dim), float_type)
        cov = jnp.asarray(self.x_cov, float_type)
        root = jnp.sqrt(cov) if cov.ndim == 0 else covariance_root(cov, self.dim, float_type)
        query = BinaryMargins(
            mean=mean,
            root=jnp.broadcast_to(root, (num_tasks, *root.shape)),
            margins=z[:, :num_queries],
            rest=z[:, num_queries:],
        )
        return Batch(support=support, query=query, truth=mean)

    def _points(
        self, key: PRNGKeyArray, mean: Array, points: int | None
    ) -> BinaryPoints | BinaryMoments:
        if points is None:
            return self.population(mean)
        key_x, key_y = jax.random.split(key)
        shape = (mean.shape[0], points)
        y = jax.random.rademacher(key_y, shape, mean.dtype)
        z = jax.random.normal(key_x, (*shape, self.dim), mean.dtype)
        x = y[..., None] * mean[:, None, :] + correlate(z, self.x_cov, self.dim)
        return BinaryPoints(x=x, y=y)
