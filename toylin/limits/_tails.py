"""How far the exact mean of the post-adaptation loss can be trusted as a summary.

At K shots the expectation can be carried by rare supports with a large second moment, on which
adaptation diverges: exact, and never seen by any sample of reasonable size.
"""

from __future__ import annotations

import warnings
from functools import lru_cache
from math import sqrt
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from toylin import closed_form
from toylin._internal.errors import NoClosedFormError
from toylin._internal.shapes import Array, Float
from toylin._internal.showing import shown
from toylin.limits._quantiles import Outcomes, quantiles
from toylin.models import Params, is_scalar
from toylin.rules import Rule, check_linear, check_problem
from toylin.tasks import LinearRegression, RegressionMoments, estimate_and_posterior, loss_degrees

RARE = 1e-3
DOMINATED = 0.1
_GRID_S, _GRID_Z = 501, 301


class TailWarning(UserWarning):
    """The exact mean is carried by rare outcomes; a sampled estimate will not see them."""


@shown
class Tail(NamedTuple):
    """The distribution of one task's post-adaptation loss, in four numbers.

    Attributes:
        mean: the exact expectation, ``closed_form.outer_loss``; inf where it leaves floats.
        median: half of all tasks do better than this; inf where it leaves floats.
        divergence_probability: how often adaptation *raises* the task's own support loss. NaN where
            the prediction at the start is itself beyond floats.
        tail_share: the share of ``mean`` that the worst one in a thousand tasks carry (about 0.01
            for a squared Gaussian error). NaN where more tasks than these leave floats.
    """

    mean: Float[Array, ""]
    median: Float[Array, ""]
    divergence_probability: Float[Array, ""]
    tail_share: Float[Array, ""]

    @property
    def dominated(self) -> bool:
        """Whether rare outcomes carry more than a tenth of the mean."""
        return float(self.tail_share) > DOMINATED

    def plot(self, ax: Any = None, *, losses: Any = None) -> Any:
        """Draw mean and median on a logarithmic axis, over the losses of sampled tasks.

        Args:
            ax: matplotlib axes to draw on; new ones if None.
            losses: those of sampled tasks, as ``autodiff.task_losses`` returns them.

        Returns:
            The axes.
        """
        from toylin import plotting

        with plotting.drawing(ax, size=(5.0, 2.6)) as axes:
            plotting.spread(axes, float(self.mean), float(self.median), losses)
        return axes

    def warn(self) -> None:
        """Issue a ``TailWarning`` if the mean is dominated by its tail, or beyond floats."""
        if self.dominated or not np.isfinite(float(self.mean)):
            warnings.warn(self.message(), TailWarning, stacklevel=2)

    def message(self) -> str:
        """What the mean stands for, in one sentence."""
        mean, median, diverges, share = map(float, self)
        chance = (
            "" if np.isnan(diverges) else f", adaptation diverges with probability {diverges:.2g}"
        )
        if self.dominated:
            return (
                f"the exact mean {mean:.6g} is carried by rare outcomes: the worst {RARE:.1%} of "
                f"tasks make up {share:.0%} of it{chance}, and half of all tasks end below "
                f"{median:.3g}; a sampled mean will miss the tail"
            )
        if np.isnan(share):
            below = "" if np.isinf(median) else f", and half of all tasks end below {median:.3g}"
            return f"more than {RARE:.1%} of tasks end beyond the range of floats{chance}{below}"
        return (
            f"the exact mean {mean:.6g} is typical: the worst {RARE:.1%} of tasks make up "
            f"{share:.1%} of it{chance}, and half of all tasks end below {median:.3g}"
        )


def tails(params: Params, tasks: LinearRegression, rule: Rule) -> Tail:
    """Mean, median, divergence and tail of the post-adaptation loss of the scalar problem.

    The mean is exact. The rest integrates the joint density of the support's second moment and the
    least-squares estimate on a grid, and that of the task given those in closed form. It is right
    to about two digits, probabilities of divergence down to 1e-25 (smaller ones can read 0). The
    median is so in probability: one half to 0.003 end below it. Where losses spread over orders of
    magnitude (one shot and far tasks, much noise or many large steps) its value has fewer digits.

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
    grid = _grid(*loss_degrees(len(params), rule.steps), tasks.shots)
    return Tail(mean, *_distribution(tuple(params), tasks, rule, grid))


@jax.jit
def _distribution(
    params: Params, tasks: LinearRegression, rule: Rule, grid: _Grid
) -> tuple[Array, Array, Array]:
    """Median, probability of divergence and share of the tail."""
    grid = jax.tree.map(lambda x: x.astype(params[0].dtype), grid)
    support, query = _outcomes(tasks, grid)

    def product(data: RegressionMoments) -> Array:
        return jnp.prod(jnp.concatenate(closed_form.adapt(params, data, rule)))

    before, after = jnp.prod(jnp.concatenate(params)), jax.vmap(product)(support)
    estimate = support.theta[:, 0]
    worse = _excess(_finite_or_inf(jnp.abs(after - estimate)), jnp.abs(before - estimate))
    diverges = _probability(worse.reshape(grid.weight.shape), grid.weight)

    noise = jnp.asarray(tasks.noise_std, worse.dtype) ** 2
    error = after - query.theta[:, 0]
    cell = _cell_std(error.reshape(grid.weight.shape)).ravel()
    outcomes = Outcomes(
        error=_finite_or_inf(jnp.abs(error)),
        std=jnp.hypot(_posterior_std(tasks, support, noise), cell),
        weight=grid.weight.ravel(),
    )
    radii = quantiles(outcomes, np.array([0.5, 1 - RARE]))

    def loss(square: Array, mass: Array | float) -> Array:
        return 0.5 * (query.xx[0, 0, 0] * square + noise * mass)

    total = loss(jnp.sum(outcomes.weight * (outcomes.error**2 + outcomes.std**2)), 1.0)
    mass, square = outcomes.inside(radii[1])
    # The outcomes that are a point each, where nothing is spread, go in part to either side.
    rest = loss(square, mass) - (mass - (1 - RARE)) * loss(radii[1] ** 2, 1.0)
    largest = float(jnp.finfo(rest.dtype).max)
    beyond = jnp.where(rest < 1e-3 * largest, 1 - rest / largest, jnp.nan)
    return (
        loss(radii[0] ** 2, 1.0),
        jnp.where(jnp.isfinite(before), diverges, jnp.nan),
        jnp.where(jnp.isfinite(total), 1 - rest / total, beyond),
    )


def _posterior_std(tasks: LinearRegression, support: RegressionMoments, noise: Array) -> Array:
    """The standard deviation of theta given the least-squares estimate."""
    if tasks.shots is None:
        return jnp.zeros_like(support.ee)
    prior = jnp.reshape(jnp.asarray(tasks.theta_cov, noise.dtype), ())
    error = noise / (tasks.shots * support.xx[:, 0, 0])
    return jnp.sqrt(prior * (error / (prior + error)))


def _cell_std(error: Array) -> Array:
    """How far to spread the error at each point of the grid over the cell that it stands for.

    A normal law as wide as half the distance to the next point fills a row of cells evenly, to 1 %
    of a cell. It is the nearer neighbour's distance: beside an outcome that diverges, a good one
    spread halfway there would lose its mass. Where neither is a float, or the second moment would
    not be, there is nothing to fill.
    """
    square = jnp.zeros_like(error)
    for axis in range(error.ndim):
        rows = jnp.moveaxis(error, axis, 0)
        steps = jnp.abs(jnp.diff(rows, axis=0))
        steps = jnp.where(jnp.isfinite(steps), steps, jnp.inf)
        nearer = jnp.minimum(steps[:-1], steps[1:])
        nearer = jnp.concatenate([steps[:1], nearer, steps[-1:]])
        square += jnp.moveaxis(jnp.where(jnp.isfinite(nearer), nearer, 0.0) ** 2, 0, axis)
    return 0.5 * jnp.sqrt(jnp.where(jnp.isfinite(error**2 + square), square, 0.0))


def _excess(a: Array, b: Array) -> Array:
    """(a - b) / (a + b), the sign of a - b, smooth also where ``a`` grows by orders a cell."""
    finite = jnp.isfinite(a + b)
    total = jnp.where(finite & (a + b > 0), a + b, 1.0)
    return jnp.where(finite, (jnp.where(finite, a, 0.0) - b) / total, 1.0)


def _finite_or_inf(x: Array) -> Array:
    return jnp.where(jnp.isnan(x), jnp.inf, x)


def _probability(margin: Array, weight: Array) -> Array:
    """The probability that ``margin`` is positive, crossing cells of the first axis linearly."""
    left, right = margin[:-1], margin[1:]
    apart = jnp.abs(right - left)
    share = jnp.where(
        (left > 0) == (right > 0),
        left > 0,
        jnp.maximum(left, right) / jnp.maximum(apart, float(jnp.finfo(margin.dtype).tiny)),
    )
    cells = 0.5 * (weight[:-1] + weight[1:])
    return jnp.sum(cells * share) / jnp.sum(cells)


class _Grid(NamedTuple):
    """Standard coordinates of outcomes, wide enough to hold the mean, and their probabilities.

    ``z`` is the standardised estimate (the parameter itself in the population), and ``g`` the
    second moment as a Gamma variable of shape K/2, along the first axis of ``weight``.
    """

    z: Any
    g: Any
    weight: Any


@lru_cache(maxsize=8)
def _grid(degree: int, degree_in_s: int, shots: int | None) -> _Grid:
    reach = 12 + sqrt(2 * degree)
    z, width = _fine_about(0.0, 3.0, -reach, reach, _GRID_Z if shots else 4001)
    log_density, root_g = np.log(width) - z**2 / 2, np.zeros(0)
    if shots is not None:
        shape = shots / 2
        # The root of g has a standard deviation of about one half, whatever the shape.
        high = shape + degree_in_s
        end = sqrt(high + 10 * sqrt(high) + 40)
        root_g, width = _fine_about(sqrt(shape), 1.5, 0.0, end, _GRID_S)
        log_density = np.add.outer(
            np.log(width) + (2 * shape - 1) * np.log(root_g) - root_g**2, log_density
        )
    weight = np.exp(log_density - log_density.max())
    return _Grid(z, root_g**2, weight / weight.sum())


def _fine_about(
    centre: float, scale: float, low: float, high: float, number: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mid-points of cells between two ends, finest about the centre, and widths in proportion.

    The reach that the mean asks for grows with the steps; most tasks lie within the scale.
    """
    first, last = np.arcsinh((np.array([low, high]) - centre) / scale)
    u = first + (last - first) * (np.arange(number) + 0.5) / number
    return centre + scale * np.sinh(u), np.cosh(u)


def _outcomes(tasks: LinearRegression, grid: _Grid) -> tuple[RegressionMoments, RegressionMoments]:
    """The supports of a grid and their queries."""
    dtype = grid.z.dtype
    if tasks.shots is None:
        theta = jnp.reshape(jnp.asarray(tasks.theta_mean, dtype), ())
        root = jnp.sqrt(jnp.reshape(jnp.asarray(tasks.theta_cov, dtype), ()))
        moments = tasks.population((theta + root * grid.z)[:, None])
        return moments, moments
    spread = jnp.reshape(jnp.asarray(tasks.x_cov, dtype), ())
    z, g = (x.ravel() for x in jnp.meshgrid(grid.z, grid.g))
    return estimate_and_posterior(tasks, 2 * spread / tasks.shots * g, z, dtype)
