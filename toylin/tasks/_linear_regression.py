"""Linear regression tasks with Gaussian inputs."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from toylin._internal import checks, flat_draws
from toylin._internal.dtypes import float_dtype
from toylin._internal.errors import NoClosedFormError
from toylin._internal.pytree import pytree_dataclass, recheck, static_field
from toylin._internal.shapes import Array, Float, PRNGKeyArray
from toylin.tasks._batch import Batch
from toylin.tasks._covariance import (
    Covariance,
    correlate,
    covariance_matrix,
    covariance_root,
    semidefinite_root,
)
from toylin.tasks._draws import normals, spare_keys, uniform_rows
from toylin.tasks._law import check_sizes
from toylin.tasks._regression_data import RegressionMoments, RegressionPoints
from toylin.tasks._regression_draws import (
    Theta,
    draw_moments,
    draw_points,
    moment_rows,
    point_rows,
)


def check_regression(tasks: Any) -> None:
    """Linear regression, all of whose numbers are single ones."""
    checks.instance("tasks", tasks, LinearRegression)
    recheck("tasks", tasks)


def check_one_output(tasks: Any) -> None:
    """Linear regression of one output: what the formulas for a vector theta serve."""
    check_regression(tasks)
    if tasks.outputs > 1:
        raise NoClosedFormError(
            f"tasks must have outputs=1 here, got outputs={tasks.outputs}; "
            "toylin.estimate_value_and_grad(params, tasks, rule, key, num_tasks) serves several"
        )


@pytree_dataclass
class LinearRegression:
    """Tasks y = theta x + eps with theta ~ N(mu, Lambda), x ~ N(0, Sigma), eps ~ N(0, sigma²).

    With m > 1 outputs theta is an m x d matrix with the covariance R kron Lambda: entries (i, k)
    and (j, l) have the covariance R_ij Lambda_kl. The noise of the outputs is independent.

    Args:
        dim: the dimension d of x, and of theta or its rows.
        theta_mean: mu, a number (for every coordinate), shape (dim,) (for every output), or shape
            (outputs, dim).
        theta_cov: Lambda, a number (that multiple of the identity) or shape (dim, dim). The matrix
            may have a lower rank, for tasks in a subspace: B' B for rows B that span it.
        x_cov: Sigma, likewise, of full rank.
        noise_std: sigma, the standard deviation of the label noise.
        shots: K, the number of support points; None for the population (infinitely many).
        outputs: m. With one, targets have shape (points,) and theta has shape (dim,); with several
            they are (points, outputs) and (outputs, dim).
        output_cov: R, a number or shape (outputs, outputs); None is the identity. One output has
            none: ``theta_cov`` is all there is.

    Raises:
        ValueError: an argument is not finite, has the wrong shape, is no positive definite
            covariance (semidefinite and not zero, for ``theta_cov``), or is no positive number of
            shots.

    >>> tasks = LinearRegression(dim=3, outputs=2, shots=5)
    >>> tasks.sample(jax.random.key(0), num_tasks=10).support.y.shape
    (10, 5, 2)
    """

    dim: int = static_field(default=1)
    theta_mean: float | Float[Array, ""] | Float[Array, " dim"] | Float[Array, "outputs dim"] = 0.0
    theta_cov: Covariance = 1.0
    x_cov: Covariance = 1.0
    noise_std: float | Float[Array, ""] = 0.0
    shots: int | None = static_field(default=None)
    outputs: int = static_field(default=1)
    output_cov: Covariance | None = None

    def __post_init__(self) -> None:
        checks.integer("dim", self.dim, minimum=1)
        checks.integer("outputs", self.outputs, minimum=1)
        if self.outputs > 1 and checks.shape_of("theta_mean", self.theta_mean) == (
            self.outputs,
            self.dim,
        ):
            checks.real("theta_mean", self.theta_mean)
        else:
            checks.vector("theta_mean", self.theta_mean, self.dim)
        checks.covariance("theta_cov", self.theta_cov, self.dim, singular=True)
        checks.covariance("x_cov", self.x_cov, self.dim)
        checks.scalar("noise_std", self.noise_std, minimum=0.0)
        checks.shots(self.shots)
        if self.output_cov is None:
            return
        if self.outputs == 1:
            raise ValueError(
                "output_cov must be None for outputs=1, whose covariance is theta_cov, got "
                f"{self.output_cov!r}"
            )
        checks.covariance("output_cov", self.output_cov, self.outputs)

    def population(
        self, theta: Float[Array, "*tasks dim"] | Float[Array, "*tasks outputs dim"]
    ) -> RegressionMoments:
        """The population moments of the task(s) with parameter ``theta``."""
        self._check_theta("theta", theta)
        theta = jnp.asarray(theta)
        tasks = theta.shape[:-1] if self.outputs == 1 else theta.shape[:-2]
        xx = covariance_matrix(self.x_cov, self.dim, theta.dtype)
        noise = self.outputs * jnp.asarray(self.noise_std, theta.dtype) ** 2
        return RegressionMoments(
            xx=jnp.broadcast_to(xx, (*tasks, self.dim, self.dim)),
            theta=theta,
            xe=jnp.zeros_like(theta),
            ee=jnp.broadcast_to(noise, tasks),
        )

    def _check_theta(self, name: str, value: Any, several: bool = False) -> None:
        """True parameters: of tasks in any number of axes, or in one where there are several."""
        own = (self.dim,) if self.outputs == 1 else (self.outputs, self.dim)
        shape = checks.real(name, value)
        if shape[len(shape) - len(own) :] != own or (several and len(shape) != len(own) + 1):
            wanted = ", ".join(map(str, ("tasks", *own)))
            raise ValueError(f"{name} must have shape ({wanted}), got {shape}")

    def prior(self, dtype: DTypeLike | None = None) -> Float[Array, "n n"]:
        """The covariance of theta in one vector, row by row: R kron Lambda, n = outputs * dim."""
        dtype = float_dtype(dtype)
        return jnp.kron(
            self.between_outputs(dtype), covariance_matrix(self.theta_cov, self.dim, dtype)
        )

    def between_outputs(self, dtype: DTypeLike | None = None) -> Float[Array, "outputs outputs"]:
        """R as a matrix."""
        cov = 1.0 if self.output_cov is None else self.output_cov
        return covariance_matrix(cov, self.outputs, float_dtype(dtype))

    def sample_theta(
        self, key: PRNGKeyArray, num_tasks: int, dtype: DTypeLike | None = None
    ) -> Theta:
        """True parameters of ``num_tasks`` tasks."""
        check_sizes(key, num_tasks, None, self.outputs * self.dim)
        z = flat_draws.normal(key, (num_tasks, self.outputs * self.dim), float_dtype(dtype))
        return self.theta_of(z)

    def theta_of(self, z: Float[Array, "tasks numbers"]) -> Theta:
        """The true parameters that N(0, 1) numbers stand for, ``outputs * dim`` a task."""
        numbers = self.outputs * self.dim
        if (shape := checks.real("z", z))[1:] != (numbers,) or not hasattr(z, "dtype"):
            raise ValueError(f"z must be an array of shape (tasks, {numbers}), got {shape}")
        mean = jnp.asarray(self.theta_mean, z.dtype)
        if self.outputs == 1:
            return mean + correlate(z, self.theta_cov, self.dim, semidefinite_root)
        z = z.reshape(len(z), self.outputs, self.dim)
        if self.output_cov is not None:
            rows = covariance_root(self.output_cov, self.outputs, z.dtype)
            z = jnp.einsum("ij,tjk->tik", rows, z)
        return mean + correlate(z, self.theta_cov, self.dim, semidefinite_root)

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
        points = (self.shots or 0) + (num_queries or 0)
        check_sizes(key, num_tasks, num_queries, (self.dim + 1) * points + self.dim)
        return self._sample(key, num_tasks, num_queries, float_dtype(dtype))

    @partial(jax.jit, static_argnames=("num_tasks", "num_queries", "dtype"))
    def _sample(
        self, key: PRNGKeyArray, num_tasks: int, num_queries: int | None, dtype: np.dtype
    ) -> Batch:
        sizes = (self.shots, num_queries)
        counts = [n for points in sizes for n in point_rows(points or 0, self.dim, self.outputs)]
        u, *rows = uniform_rows(key, [self.outputs * self.dim, *counts], num_tasks, dtype)
        theta = self.theta_of(normals(u).T)
        return Batch(
            self._show(self.shots, rows[:2], theta),
            self._show(num_queries, rows[2:], theta),
            theta,
        )

    def _show(
        self, points: int | None, rows: list[Array], theta: Array
    ) -> RegressionPoints | RegressionMoments:
        if points is None:
            return self.population(theta)
        x, noise = rows
        return draw_points(x, noise, theta, self.x_cov, self.noise_std)

    def sample_support(self, key: PRNGKeyArray, truth: Theta) -> RegressionMoments:
        """Draw the moments of what tasks with these true parameters adapt on.

        Equal in law to the moments of ``shots`` points, none of which is drawn: see
        ``sample_moments``.

        Args:
            key: a JAX random key.
            truth: the parameter theta of every task.

        Raises:
            ValueError: no key, or true parameters of another shape.
        """
        checks.key("key", key)
        checks.float_leaves("truth", truth)
        self._check_theta("truth", truth, several=True)
        counts = moment_rows(self.shots, self.dim, self.outputs)
        key, (spare,) = spare_keys(key, [self.shots and self.shots * self.outputs])
        inputs, noise = uniform_rows(key, counts, len(truth), truth.dtype)
        return self._moments(self.shots, inputs, noise, truth, spare)

    def _moments(
        self, points: int | None, x: Array, noise: Array | None, theta: Theta, key: Any
    ) -> RegressionMoments:
        if points is None:
            return self.population(theta)
        return draw_moments(x, noise, theta, points, self.x_cov, self.noise_std, key)

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
        check_sizes(key, num_tasks, num_queries, 2 * self.dim**2)
        checks.flag("noiseless", noiseless)
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
        sizes = (self.shots, num_queries)
        inputs, noises = zip(
            *(moment_rows(points, self.dim, self.outputs) for points in sizes), strict=True
        )
        key, spare = spare_keys(key, [n and n * self.outputs for n in sizes])
        # The noise last, so that all else is the same without it.
        counts = (self.outputs * self.dim, *inputs, *(() if noiseless else noises))
        u, support, query, *noise = uniform_rows(key, counts, num_tasks, dtype)
        theta = self.theta_of(normals(u).T)

        def draw(i: int, x: Array) -> RegressionMoments:
            return self._moments(sizes[i], x, None if noiseless else noise[i], theta, spare[i])

        return Batch(draw(0, support), draw(1, query), theta)
