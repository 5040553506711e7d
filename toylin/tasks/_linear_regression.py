"""Linear regression tasks with Gaussian inputs."""

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
from toylin.quadrature import mean_square, wishart_root
from toylin.tasks._batch import Batch
from toylin.tasks._covariance import Covariance, correlate, covariance_matrix, covariance_root
from toylin.tasks._law import check_sizes
from toylin.tasks._regression_data import RegressionMoments, RegressionPoints


@pytree_dataclass
class LinearRegression:
    """Tasks y = theta.x + eps with theta ~ N(mu, Lambda), x ~ N(0, Sigma), eps ~ N(0, sigma²).

    Args:
        dim: the dimension d of x and theta.
        theta_mean: mu, a number (for every coordinate) or shape (dim,).
        theta_cov: Lambda, a number (that multiple of the identity) or shape (dim, dim).
        x_cov: Sigma, likewise.
        noise_std: sigma, the standard deviation of the label noise.
        shots: K, the number of support points; None for the population (infinitely many).

    Raises:
        ValueError: an argument is not finite, has the wrong shape, is no positive definite
            covariance, or is no positive number of shots.
    """

    dim: int = static_field(default=1)
    theta_mean: float | Float[Array, ""] | Float[Array, " dim"] = 0.0
    theta_cov: Covariance = 1.0
    x_cov: Covariance = 1.0
    noise_std: float | Float[Array, ""] = 0.0
    shots: int | None = static_field(default=None)

    def __post_init__(self) -> None:
        checks.integer("dim", self.dim, minimum=1)
        checks.vector("theta_mean", self.theta_mean, self.dim)
        checks.covariance("theta_cov", self.theta_cov, self.dim)
        checks.covariance("x_cov", self.x_cov, self.dim)
        checks.scalar("noise_std", self.noise_std, minimum=0.0)
        if self.shots is not None:
            checks.integer("shots", self.shots, minimum=1)

    def population(self, theta: Float[Array, "*tasks dim"]) -> RegressionMoments:
        """The population moments of the task(s) with parameter ``theta``."""
        theta = jnp.asarray(theta)
        tasks = theta.shape[:-1]
        xx = covariance_matrix(self.x_cov, self.dim, theta.dtype)
        noise = jnp.asarray(self.noise_std, theta.dtype) ** 2
        return RegressionMoments(
            xx=jnp.broadcast_to(xx, (*tasks, self.dim, self.dim)),
            theta=theta,
            xe=jnp.zeros_like(theta),
            ee=jnp.broadcast_to(noise, tasks),
        )

    def sample_theta(
        self, key: PRNGKeyArray, num_tasks: int, dtype: DTypeLike | None = None
    ) -> Float[Array, "tasks dim"]:
        """True parameters of ``num_tasks`` tasks."""
        check_sizes(key, num_tasks, None)
        z = jax.random.normal(key, (num_tasks, self.dim), float_dtype(dtype))
        return jnp.asarray(self.theta_mean, z.dtype) + correlate(z, self.theta_cov, self.dim)

    def sample(
        self,
        key: PRNGKeyArray,
        num_tasks: int,
        num_queries: int | None = None,
        dtype: DTypeLike | None = None,
    ) -> Batch:
        """Draw tasks, their support points and their query points.

        Args:
            key: a JAX random key.
            num_tasks: how many tasks.
            num_queries: query points a task; None scores on the population, which is the same in
                expectation and less noisy.
            dtype: of the draws; JAX's default float type if None.

        Returns:
            A ``Batch`` of ``RegressionPoints`` (``RegressionMoments`` where the population is
            meant), with the true parameters in ``truth``.
        """
        check_sizes(key, num_tasks, num_queries)
        return self._sample(key, num_tasks, num_queries, float_dtype(dtype))

    @partial(jax.jit, static_argnames=("num_tasks", "num_queries", "dtype"))
    def _sample(
        self, key: PRNGKeyArray, num_tasks: int, num_queries: int | None, dtype: np.dtype
    ) -> Batch:
        key_truth, key_support, key_query = jax.random.split(key, 3)
        theta = self.sample_theta(key_truth, num_tasks, dtype)
        return Batch(
            support=self._points(key_support, theta, self.shots),
            query=self._points(key_query, theta, num_queries),
            truth=theta,
        )

    def sample_moments(
        self,
        key: PRNGKeyArray,
        num_tasks: int,
        num_queries: int | None = None,
        dtype: DTypeLike | None = None,
        *,
        noiseless: bool = False,
    ) -> Batch:
        """Draw tasks and, in place of their points, the moments through which the loss sees them.

        Equal in law to ``sample`` followed by ``RegressionPoints.moments``, and several times
        cheaper: in one dimension the second moment of K points is x_cov chi²_K / K, whatever K; in
        d <= K it is a Wishart matrix, drawn by its triangular factor.

        Args:
            key: a JAX random key.
            num_tasks: how many tasks.
            num_queries: as for ``sample``.
            dtype: as for ``sample``.
            noiseless: promise that ``noise_std`` is zero, so that no noise need be drawn.
        """
        check_sizes(key, num_tasks, num_queries)
        return self._sample_moments(key, num_tasks, num_queries, float_dtype(dtype), noiseless)

    @partial(jax.jit, static_argnames=("num_tasks", "num_queries", "dtype", "noiseless"))
    def _sample_moments(
        self,
        key: PRNGKeyArray,
        num_tasks: int,
        num_queries: int | None,
        dtype: np.dtype,
        noiseless: bool,
    ) -> Batch:
        key_truth, key_support, key_query = jax.random.split(key, 3)
        theta = self.sample_theta(key_truth, num_tasks, dtype)
        return Batch(
            support=self._moments(key_support, theta, self.shots, noiseless),
            query=self._moments(key_query, theta, num_queries, noiseless),
            truth=theta,
        )

    def _points(
        self, key: PRNGKeyArray, theta: Array, points: int | None
    ) -> RegressionPoints | RegressionMoments:
        if points is None:
            return self.population(theta)
        key_x, key_noise = jax.random.split(key)
        shape = (theta.shape[0], points)
        z = jax.random.normal(key_x, (*shape, self.dim), theta.dtype)
        x = correlate(z, self.x_cov, self.dim)
        noise = self.noise_std * jax.random.normal(key_noise, shape, theta.dtype)
        return RegressionPoints(x=x, y=jnp.einsum("tkd,td->tk", x, theta) + noise)

    def _moments(
        self, key: PRNGKeyArray, theta: Array, points: int | None, noiseless: bool
    ) -> RegressionMoments:
        if points is None:
            return self.population(theta)
        if self.dim > 1 and points < self.dim:
            sample = self._points(key, theta, points)
            assert isinstance(sample, RegressionPoints)
            return jax.vmap(RegressionPoints.moments)(sample, theta)
        num, dim = theta.shape
        key_x, key_along, key_rest = jax.random.split(key, 3)
        if dim == 1:
            spread = jnp.asarray(self.x_cov, theta.dtype).reshape(())
            xx = (spread * mean_square(key_x, points, (num,), theta.dtype))[:, None, None]
            root = jnp.sqrt(xx)
        else:
            factor = covariance_root(self.x_cov, dim, theta.dtype)
            root = factor @ wishart_root(key_x, points, dim, num, theta.dtype)
            root = root / points**0.5
            xx = root @ jnp.swapaxes(root, -1, -2)
        if noiseless:
            return RegressionMoments(xx, theta, jnp.zeros_like(theta), jnp.zeros_like(theta[:, 0]))
        # Of the K noises, d coordinates lie along the columns of X; the rest only add to ee.
        along = jax.random.normal(key_along, (num, dim), theta.dtype)
        square = jnp.sum(along**2, -1)
        if points > dim:
            rest = mean_square(key_rest, points - dim, (num,), theta.dtype)
            square += (points - dim) * rest
        return RegressionMoments(
            xx=xx,
            theta=theta,
            xe=self.noise_std / points**0.5 * jnp.einsum("tij,tj->ti", root, along),
            ee=jnp.asarray(self.noise_std, theta.dtype) ** 2 / points * square,
        )
