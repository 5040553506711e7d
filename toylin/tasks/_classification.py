"""Classification tasks with Gaussian inputs around class means of their own."""

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
from toylin.tasks._class_data import ClassPoints, class_after_class
from toylin.tasks._covariance import Covariance, correlate
from toylin.tasks._draws import normals, uniform_rows
from toylin.tasks._law import check_sizes


@pytree_dataclass
class Classification:
    """Tasks with x | c ~ N(m_c, Sigma) and equally many points of each of C classes.

    The class means of a task are Gaussian with sum zero, m_c = sqrt(C / (C - 1)) (g_c - mean of g),
    g_c ~ N(0, mean_std² I), so that each coordinate of each has the standard deviation
    ``mean_std``, and a linear model needs no bias. Two classes have the means m and -m of
    ``BinaryClassification``, whose logit is the difference of the two here.

    Args:
        dim: the dimension d of x.
        classes: C, the number of classes ("ways"), at least 2.
        mean_std: the standard deviation of each coordinate of a class mean.
        x_cov: Sigma, a number (that multiple of the identity) or shape (dim, dim).
        shots: the number of support points of *each class*.

    Raises:
        ValueError: an argument is not finite, has the wrong shape, is no positive definite
            covariance, or is no positive number of classes or shots.

    >>> tasks = Classification(dim=2, classes=3, shots=5)
    >>> batch = tasks.sample(jax.random.key(0), num_tasks=10, num_queries=4)
    >>> batch.support.x.shape, batch.query.y.shape
    ((10, 15, 2), (10, 12))
    """

    dim: int = static_field(default=2)
    classes: int = static_field(default=3)
    mean_std: float | Float[Array, ""] = 1.0
    x_cov: Covariance = 1.0
    shots: int = static_field(default=5)

    def __post_init__(self) -> None:
        checks.integer("dim", self.dim, minimum=1)
        checks.integer("classes", self.classes, minimum=2)
        checks.scalar("mean_std", self.mean_std, minimum=0.0)
        checks.covariance("x_cov", self.x_cov, self.dim)
        checks.integer("shots", self.shots, minimum=1)

    @property
    def outputs(self) -> int:
        """How many outputs a model of these tasks has, one a class."""
        return self.classes

    def sample(
        self,
        key: PRNGKeyArray,
        num_tasks: int,
        num_queries: int,
        dtype: DTypeLike | None = None,
    ) -> Batch:
        """Draw tasks, their support points and their query points, class after class.

        Args:
            key: a JAX random key.
            num_tasks: how many tasks.
            num_queries: query points of *each class*; the loss of the population has no formula.
            dtype: of the draws; JAX's default float type if None.

        Returns:
            A ``Batch`` of ``ClassPoints``, the class means, shape (tasks, classes, dim), in its
            ``truth``.

        Raises:
            ValueError: no key, or a number that is no positive integer.
        """
        checks.integer("num_queries", num_queries, minimum=1)
        points = self.classes * (self.shots + num_queries + 1)
        check_sizes(key, num_tasks, num_queries, self.dim * points)
        return self._sample(key, num_tasks, num_queries, float_dtype(dtype))

    @partial(jax.jit, static_argnames=("num_tasks", "num_queries", "dtype"))
    def _sample(
        self, key: PRNGKeyArray, num_tasks: int, num_queries: int, dtype: np.dtype
    ) -> Batch:
        rows = [self.classes * self.dim * n for n in (1, self.shots, num_queries)]
        u, *points = uniform_rows(key, rows, num_tasks, dtype)
        mean = self._means(normals(u).T.reshape(num_tasks, self.classes, self.dim))
        support, query = (self._show(x, mean) for x in points)
        return Batch(support, query, mean)

    def _means(self, z: Float[Array, "tasks classes dim"]) -> Float[Array, "tasks classes dim"]:
        spread = self.mean_std * (self.classes / (self.classes - 1)) ** 0.5
        return spread * (z - jnp.mean(z, axis=1, keepdims=True))

    def _show(self, u: Float[Array, "rows tasks"], mean: Array) -> ClassPoints:
        """As many points of every class as the rows are enough for."""
        z = normals(u).T.reshape(len(mean), self.classes, -1, self.dim)
        return class_after_class(mean[:, :, None, :] + correlate(z, self.x_cov, self.dim))
