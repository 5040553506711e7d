"""How far the exact mean of the post-adaptation loss can be trusted as a summary.

At K shots the expectation can be carried by rare supports with a large second moment, on which
adaptation diverges: exact, and never seen by any sample of reasonable size.
"""

from __future__ import annotations

import warnings
from math import sqrt
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from toylin import closed_form
from toylin._internal.errors import NoClosedFormError
from toylin._internal.shapes import Array, Float
from toylin.models import Params, is_scalar
from toylin.rules import Rule, check_linear, check_problem
from toylin.tasks import LinearRegression, RegressionMoments, estimate_and_posterior, loss_degrees

RARE = 1e-3
DOMINATED = 0.1
_GRID_S, _GRID_Z = 801, 401


class TailWarning(UserWarning):
    """The exact mean is carried by rare supports; a sampled estimate will not see them."""


class Tail(NamedTuple):
    """The distribution of one task's post-adaptation loss, in four numbers.

    Attributes:
        mean: the exact expectation, ``closed_form.outer_loss``.
        median: half of all tasks do better than this.
        divergence_probability: how often adaptation *raises* the task's own support loss.
        tail_share: the share of ``mean`` that the worst one in a thousand outcomes carry (about
            0.01 for a squared Gaussian error).
    """

    mean: Float[Array, ""]
    median: Float[Array, ""]
    divergence_probability: Float[Array, ""]
    tail_share: Float[Array, ""]

    @property
    def dominated(self) -> bool:
        """Whether rare outcomes carry more than a tenth of the mean."""
        return not float(self.tail_share) <= DOMINATED

    def warn(self) -> None:
        """Issue a ``TailWarning`` if the mean is dominated by its tail."""
        if self.dominated:
            warnings.warn(self.message(), TailWarning, stacklevel=2)

    def message(self) -> str:
        """What to beware of, in one sentence."""
        return (
            f"the exact mean {float(self.mean):.6g} is carried by rare supports: the worst "
            f"{RARE:.1%} of outcomes make up {float(self.tail_share):.0%} of it, adaptation "
            f"diverges with probability {float(self.divergence_probability):.2g}, and half of all "
            f"tasks end below {float(self.median):.3g}; a sampled mean will miss the tail"
        )


def tails(params: Params, tasks: LinearRegression, rule: Rule) -> Tail:
    """Mean, median, divergence and tail of the post-adaptation loss of the scalar problem.

    The mean is exact. The rest integrates the joint density of the support's second moment and the
    least-squares estimate on a grid, so that probabilities far in the tail keep their relative
    accuracy, about two digits.

    Args:
        params: scalar weights, L matrices of shape (1, 1).
        tasks: a scalar linear regression, with any number of shots or the population.
        rule: an adaptation rule that is ``linear``.

    Raises:
        NoClosedFormError: the problem is not scalar.
        ValueError: shapes that disagree.
    """
    check_problem(params, tasks, rule)
    check_linear(rule)
    if not (isinstance(tasks, LinearRegression) and is_scalar(params)):
        raise NoClosedFormError(
            "tail diagnostics exist for scalar linear regression; for other problems look at the "
            "quantiles of autodiff.task_losses(params, tasks.sample(key, num_tasks), rule)"
        )
    mean = closed_form.outer_loss(params, tasks, rule)
    return Tail(mean, *_distribution(tuple(params), tasks, rule, mean))


@jax.jit
def _distribution(
    params: Params, tasks: LinearRegression, rule: Rule, mean: Array
) -> tuple[Array, Array, Array]:
    support, query, weight = _outcomes(len(params), tasks, rule, params[0].dtype)

    def product(data: RegressionMoments) -> Array:
        return jnp.prod(jnp.concatenate(closed_form.adapt(params, data, rule)))

    before, after = jnp.prod(jnp.concatenate(params)), jax.vmap(product)(support)
    estimate = support.theta[:, 0]
    worse = _finite_or_inf(jnp.abs(after - estimate)) - jnp.abs(before - estimate)

    spread = query.xx[:, 0, 0]
    error = _finite_or_inf(jnp.abs(after - query.theta[:, 0]))
    loss = weight.ravel() * 0.5 * (spread * error**2 + query.ee)
    order = jnp.argsort(-error)
    rare = jnp.cumsum(weight.ravel()[order]) <= RARE
    share = jnp.sum(jnp.where(rare, loss[order], 0.0)) / jnp.sum(loss)

    noise = jnp.asarray(tasks.noise_std, loss.dtype) ** 2
    posterior_std = jnp.sqrt(jnp.maximum((query.ee - noise) / spread, 0.0))
    radius = _median_radius(error, posterior_std, weight.ravel())
    return (
        0.5 * (spread[0] * radius**2 + noise),
        _probability(worse.reshape(weight.shape), weight),
        jnp.where(jnp.isfinite(mean) & jnp.isfinite(share), share, 1.0),
    )


def _finite_or_inf(x: Array) -> Array:
    return jnp.where(jnp.isnan(x), jnp.inf, x)


def _probability(margin: Array, weight: Array) -> Array:
    """The probability that ``margin`` is positive, crossing cells of the first axis linearly."""
    bounds = jnp.finfo(margin.dtype)
    margin = jnp.clip(margin, -(bounds.max**0.5), bounds.max**0.5)
    left, right = margin[:-1], margin[1:]
    apart = jnp.abs(right - left)
    share = jnp.where(
        (left > 0) == (right > 0),
        left > 0,
        jnp.maximum(left, right) / jnp.maximum(apart, bounds.tiny),
    )
    cells = 0.5 * (weight[:-1] + weight[1:])
    return jnp.sum(cells * share) / jnp.sum(cells)


def _outcomes(
    depth: int, tasks: LinearRegression, rule: Rule, dtype: np.dtype
) -> tuple[RegressionMoments, RegressionMoments, Array]:
    """A grid of supports with their queries and probabilities, wide enough to hold the mean."""
    degree, degree_in_s = loss_degrees(depth, rule.steps)
    reach = 12 + sqrt(2 * degree)
    z = np.linspace(-reach, reach, _GRID_Z if tasks.shots else _GRID_S * 5)
    log_density = -(z[:, None] ** 2) / 2
    if tasks.shots is None:
        theta = jnp.reshape(jnp.asarray(tasks.theta_mean, dtype), ())
        root = jnp.sqrt(jnp.reshape(jnp.asarray(tasks.theta_cov, dtype), ()))
        support = query = tasks.population((theta + root * jnp.asarray(z, dtype))[:, None])
    else:
        shape = tasks.shots / 2
        # S follows g ~ Gamma(shape); in its root the grid is fine where the density is.
        high = shape + degree_in_s
        root_g = sqrt(high + 10 * sqrt(high) + 40) * (np.arange(_GRID_S) + 0.5) / _GRID_S
        log_density = np.add.outer((2 * shape - 1) * np.log(root_g) - root_g**2, log_density[:, 0])
        spread = jnp.reshape(jnp.asarray(tasks.x_cov, dtype), ())
        grid_z, grid_g = (jnp.asarray(a.ravel(), dtype) for a in np.meshgrid(z, root_g**2))
        second_moment = 2 * spread / tasks.shots * grid_g
        support, query = estimate_and_posterior(tasks, second_moment, grid_z, dtype)
    weight = np.exp(log_density - log_density.max())
    return support, query, jnp.asarray(weight / weight.sum(), dtype)


def _median_radius(error: Array, std: Array, weight: Array) -> Array:
    """The median of |error + std u| over the outcomes and u ~ N(0, 1), by bisection of its log."""
    positive = std > 0
    safe = jnp.where(positive, std, 1.0)

    def below(radius: Array) -> Array:
        cdf = jax.scipy.stats.norm.cdf
        mass = cdf((radius - error) / safe) - cdf((-radius - error) / safe)
        return jnp.sum(weight * jnp.where(positive, mass, error <= radius))

    def halve(_: int, bracket: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bracket
        middle = 0.5 * (low + high)
        enough = below(jnp.exp(middle)) >= 0.5
        return jnp.where(enough, low, middle), jnp.where(enough, middle, high)

    bracket = (jnp.asarray(-40.0, error.dtype), jnp.asarray(80.0, error.dtype))
    return jnp.exp(jax.lax.fori_loop(0, 60, halve, bracket)[1])
