"""Distributions of tasks: linear regression and binary classification with Gaussian inputs."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from toylin import _checks, _random
from toylin._dtypes import float_dtype
from toylin._pytree import pytree_dataclass, static
from toylin._types import Array, Float, PRNGKeyArray
from toylin.data import (
    Batch,
    BinaryMargins,
    BinaryMoments,
    BinaryPoints,
    RegressionMoments,
    RegressionPoints,
)

Covariance = float | Float[Array, ""] | Float[Array, "dim dim"]


def covariance_matrix(
    cov: Covariance, dim: int, dtype: DTypeLike | None = None
) -> Float[Array, "dim dim"]:
    """``cov`` as a matrix: a number is that multiple of the identity."""
    matrix = jnp.asarray(cov, dtype)
    return matrix * jnp.eye(dim, dtype=matrix.dtype) if matrix.ndim == 0 else matrix


def covariance_root(
    cov: Covariance, dim: int, dtype: DTypeLike | None = None
) -> Float[Array, "dim dim"]:
    """The lower triangular C with C C' = ``cov``."""
    matrix = jnp.asarray(cov, dtype)
    if matrix.ndim == 0:
        return jnp.sqrt(matrix) * jnp.eye(dim, dtype=matrix.dtype)
    return jnp.linalg.cholesky(matrix)


def _correlate(z: Array, cov: Covariance, dim: int) -> Array:
    """Turn independent N(0, 1) rows into rows with that covariance."""
    matrix = jnp.asarray(cov, z.dtype)
    return jnp.sqrt(matrix) * z if matrix.ndim == 0 else z @ covariance_root(cov, dim, z.dtype).T


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

    dim: int = static(default=1)
    theta_mean: float | Float[Array, ""] | Float[Array, " dim"] = 0.0
    theta_cov: Covariance = 1.0
    x_cov: Covariance = 1.0
    noise_std: float | Float[Array, ""] = 0.0
    shots: int | None = static(default=None)

    def __post_init__(self) -> None:
        _checks.integer("dim", self.dim, minimum=1)
        _checks.vector("theta_mean", self.theta_mean, self.dim)
        _checks.covariance("theta_cov", self.theta_cov, self.dim)
        _checks.covariance("x_cov", self.x_cov, self.dim)
        _checks.scalar("noise_std", self.noise_std, minimum=0.0)
        if self.shots is not None:
            _checks.integer("shots", self.shots, minimum=1)

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
        z = jax.random.normal(key, (num_tasks, self.dim), float_dtype(dtype))
        return jnp.asarray(self.theta_mean, z.dtype) + _correlate(z, self.theta_cov, self.dim)

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
        keys = _keys(key, num_tasks, num_queries)
        theta = self.sample_theta(keys[0], num_tasks, dtype)
        return Batch(
            support=self._points(keys[1], theta, self.shots),
            query=self._points(keys[2], theta, num_queries),
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
        keys = _keys(key, num_tasks, num_queries)
        theta = self.sample_theta(keys[0], num_tasks, dtype)
        return Batch(
            support=self._moments(keys[1], theta, self.shots, noiseless),
            query=self._moments(keys[2], theta, num_queries, noiseless),
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
        x = _correlate(z, self.x_cov, self.dim)
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
            xx = (spread * _random.mean_square(key_x, points, (num,), theta.dtype))[:, None, None]
            root = jnp.sqrt(xx)
        else:
            factor = covariance_root(self.x_cov, dim, theta.dtype)
            root = factor @ _random.wishart_root(key_x, points, dim, num, theta.dtype)
            root = root / points**0.5
            xx = root @ jnp.swapaxes(root, -1, -2)
        if noiseless:
            return RegressionMoments(xx, theta, jnp.zeros_like(theta), jnp.zeros_like(theta[:, 0]))
        # Of the K noises, d coordinates lie along the columns of X; the rest only add to ee.
        along = jax.random.normal(key_along, (num, dim), theta.dtype)
        square = jnp.sum(along**2, -1)
        if points > dim:
            rest = _random.mean_square(key_rest, points - dim, (num,), theta.dtype)
            square += (points - dim) * rest
        return RegressionMoments(
            xx=xx,
            theta=theta,
            xe=self.noise_std / points**0.5 * jnp.einsum("tij,tj->ti", root, along),
            ee=jnp.asarray(self.noise_std, theta.dtype) ** 2 / points * square,
        )


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

    dim: int = static(default=1)
    mean_std: float | Float[Array, ""] = 1.0
    x_cov: Covariance = 1.0
    shots: int | None = static(default=None)

    def __post_init__(self) -> None:
        _checks.integer("dim", self.dim, minimum=1)
        _checks.scalar("mean_std", self.mean_std, minimum=0.0)
        _checks.covariance("x_cov", self.x_cov, self.dim)
        if self.shots is not None:
            _checks.integer("shots", self.shots, minimum=1)

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
        keys = _keys(key, num_tasks, num_queries)
        z = jax.random.normal(keys[0], (num_tasks, self.dim), float_dtype(dtype))
        mean = self.mean_std * z
        return Batch(
            support=self._points(keys[1], mean, self.shots),
            query=self._points(keys[2], mean, num_queries),
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
        key_mean, key_x, key_query = _keys(key, num_tasks, num_queries)
        float_type = float_dtype(dtype)
        mean = self.mean_std * jax.random.normal(key_mean, (num_tasks, self.dim), float_type)
        support: BinaryPoints | BinaryMoments = self.population(mean)
        if self.shots is not None:
            z = jax.random.normal(key_x, (num_tasks, self.shots, self.dim), float_type)
            x = mean[:, None, :] + _correlate(z, self.x_cov, self.dim)
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
        x = y[..., None] * mean[:, None, :] + _correlate(z, self.x_cov, self.dim)
        return BinaryPoints(x=x, y=y)


def _keys(key: PRNGKeyArray, num_tasks: int, num_queries: int | None) -> Array:
    """Check the sizes; keys for the tasks, their supports and their queries."""
    _checks.integer("num_tasks", num_tasks, minimum=1)
    if num_queries is not None:
        _checks.integer("num_queries", num_queries, minimum=1)
    return jax.random.split(key, 3)
