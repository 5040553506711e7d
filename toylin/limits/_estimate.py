"""The outer loss where no formula gives it: the exact inner loop, averaged over drawn tasks."""

from __future__ import annotations

from functools import cache, partial
from math import sqrt
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from toylin import autodiff, closed_form
from toylin._internal import checks, flat_draws
from toylin._internal.norms import in_range
from toylin._internal.shapes import Array, Float, PRNGKeyArray
from toylin._internal.showing import shown
from toylin.models import Params
from toylin.rules import Rule, check_problem
from toylin.tasks import Batch, BinaryClassification, LinearRegression, TaskLaw, check_sizes

# Tasks come in this many independent groups: the replicates of quasi-Monte Carlo, and a bound on
# memory either way.
GROUPS = 16
_BITS = 30
METHODS = ("qmc", "mc")
COVERAGE = 0.95
# Tasks at once in ``estimate_value_and_grad``, another bound on memory.
_BLOCK = 10_000


@shown
class Estimate(NamedTuple):
    """A mean over drawn tasks, and how far it can be from the expectation.

    Attributes:
        mean: the estimate.
        stderr: its standard error.
        low: with ``high`` an interval that covers the expectation with probability ``COVERAGE``, 95
            %, by Student's t: as far as the independent numbers behind the mean are normal. Where
            rare tasks carry the expectation no sample tells (see ``tails``).
        high: see ``low``.
        degrees_of_freedom: the independent numbers behind ``stderr``, less one.

    Where adaptation of a task leaves the range of floats the mean is inf or NaN, the standard error
    inf and the interval everything.
    """

    mean: Float[Array, "*shape"]
    stderr: Float[Array, "*shape"]
    low: Float[Array, "*shape"]
    high: Float[Array, "*shape"]
    degrees_of_freedom: int


def deviation(values: Array) -> Array:
    """The standard deviation of a row, whose square divides by one less than there are."""
    scaled, power = in_range(values)
    return jnp.sqrt(jnp.var(scaled, ddof=1)) / power


def interval(mean: Array, spread: Array, count: int) -> tuple[Array, Array, Array, Array]:
    """Mean, error and ends, from ``count`` independent numbers of that standard deviation."""
    from scipy.special import stdtrit

    known = jnp.isfinite(mean) & jnp.isfinite(spread)
    stderr = jnp.where(known, jnp.where(known, spread, 1.0) / sqrt(count), jnp.inf)
    reach = float(stdtrit(count - 1, 0.5 + COVERAGE / 2)) * stderr
    centre = jnp.where(known, mean, 0.0)
    return mean, stderr, centre - reach, centre + reach


def estimate(
    params: Params,
    tasks: TaskLaw,
    rule: Rule,
    key: PRNGKeyArray,
    num_tasks: int,
    method: str = "qmc",
) -> Estimate:
    """The expected outer loss, by the exact inner loop on drawn tasks, with its 95 % interval.

    Supports are drawn (the population needs none), those of regression as the moments through which
    the loss sees them, whatever the shots; queries are scored on the population.

    Args:
        params: the start that all tasks share, (W_1, ..., W_L).
        tasks: the distribution of tasks.
        rule: the adaptation rule.
        key: a JAX random key.
        num_tasks: how many tasks, 16 times a power of two for "qmc", else a multiple of 16.
        method: "mc" draws task parameters independently. "qmc" takes them from 16 copies of a Sobol
            sequence, each shifted at random (a digital shift): each copy's mean is unbiased, and
            their spread gives the standard error, of 15 degrees of freedom. It falls faster than
            1 / sqrt(num_tasks) where the loss is smooth in the parameters and the supports are the
            population.

    Returns:
        An ``Estimate``. It differentiates: ``jax.grad`` of its mean estimates the outer gradient.

    Raises:
        ValueError: an argument of the wrong kind, a bad number of tasks or an unknown method.

    >>> import toylin as tl
    >>> tasks, rule = tl.BinaryClassification(dim=3), tl.MAML(step_size=0.5)
    >>> start = tl.init(jax.random.key(0), widths=(3, 3, 1))
    >>> found = estimate(start, tasks, rule, jax.random.key(1), num_tasks=2**14)
    >>> bool(found.high - found.low < 5e-3 * found.mean)
    True
    """
    check_problem(params, tasks, rule)
    if not isinstance(tasks, LinearRegression | BinaryClassification):
        raise ValueError(
            "tasks must be a LinearRegression or a BinaryClassification, whose parameters can be "
            f"drawn in order, got {type(tasks).__name__}; estimate_value_and_grad serves any law"
        )
    checks.integer("num_tasks", num_tasks, minimum=2 * GROUPS)
    checks.choice("method", method, METHODS)
    size, rest = divmod(num_tasks, GROUPS)
    if rest or (method == "qmc" and size & (size - 1)):
        wanted = "a power of two" if method == "qmc" else "a whole number"
        raise ValueError(
            f"num_tasks must be {GROUPS} times {wanted} for method {method!r}, got {num_tasks}"
        )
    check_sizes(key, size, None, _numbers(tasks))
    count = GROUPS if method == "qmc" else num_tasks
    found = _estimate(tuple(params), tasks, rule, key, size, method)
    return Estimate._make((*found, count - 1))


_Ours: TypeAlias = LinearRegression | BinaryClassification


def _numbers(tasks: _Ours) -> int:
    """How many numbers are kept of a task, at least."""
    if isinstance(tasks, LinearRegression):
        return tasks.outputs * tasks.dim + 2 * tasks.dim**2
    return (1 + (tasks.shots or 0)) * tasks.dim


@partial(jax.jit, static_argnames=("size", "method"))
def _estimate(
    params: Params, tasks: _Ours, rule: Rule, key: PRNGKeyArray, size: int, method: str
) -> tuple[Array, Array, Array, Array]:
    """The mean of the independent numbers, its standard error and its interval."""
    dtype = params[0].dtype

    def group(key: PRNGKeyArray) -> Array:
        key_truth, key_support = jax.random.split(key)
        numbers = tasks.dim * tasks.outputs
        if method == "qmc":
            z = _shifted_sobol(key_truth, size, numbers, dtype)
        else:
            z = flat_draws.normal(key_truth, (size, numbers), dtype)
        truth = _truth(tasks, z)
        support = tasks.sample_support(key_support, truth)
        batch = Batch(support, tasks.population(truth), truth)
        return closed_form.task_losses(params, batch, rule)

    losses = jax.lax.map(group, jax.random.split(key, GROUPS))
    independent = losses.mean(axis=1) if method == "qmc" else losses.ravel()
    return interval(losses.mean(), deviation(independent), independent.size)


def estimate_value_and_grad(
    params: Params, tasks: TaskLaw, rule: Rule, key: PRNGKeyArray, num_tasks: int
) -> tuple[Estimate, Params]:
    """The outer loss and gradient as means over independent tasks, by automatic differentiation.

    Nothing in it is a formula, so that it serves any rule and checks any. Queries are scored on the
    population; memory is that of 10,000 tasks.

    Args:
        params: the start that all tasks share, (W_1, ..., W_L).
        tasks: the distribution of tasks.
        rule: the adaptation rule.
        key: a JAX random key.
        num_tasks: how many tasks, at least 2.

    Returns:
        An ``Estimate`` of the loss, and a tuple of one a layer for the gradient, its fields of the
        shape of the layer. Their errors are sums of squares: 0 or inf where those of what tasks
        differ by leave the range of floats (in single precision below 1e-19 or above 1e19).

    Raises:
        ValueError: an argument of the wrong kind, or too few tasks.

    >>> import toylin as tl
    >>> tasks, rule = tl.LinearRegression(shots=5), tl.MAML(step_size=0.1)
    >>> start = (jnp.array([[0.7]]), jnp.array([[-0.9]]))
    >>> loss, grad = estimate_value_and_grad(start, tasks, rule, jax.random.key(0), 20_000)
    >>> exact = tl.closed_form.outer_loss(start, tasks, rule)
    >>> bool(loss.low < exact < loss.high), grad[0].mean.shape
    (True, (1, 1))
    """
    check_problem(params, tasks, rule)
    checks.key("key", key)
    checks.integer("num_tasks", num_tasks, minimum=2)
    intervals = _task_intervals(tuple(params), tasks, rule, key, num_tasks)
    loss, *grads = (Estimate._make((*found, num_tasks - 1)) for found in intervals)
    return loss, tuple(grads)  # type: ignore[arg-type]  # an Estimate a layer


@partial(jax.jit, static_argnames="num_tasks")
def _task_intervals(
    params: Params, tasks: TaskLaw, rule: Rule, key: PRNGKeyArray, num_tasks: int
) -> list[tuple[Array, Array, Array, Array]]:
    """Means over tasks with their intervals, of the loss and of every layer's gradient."""
    blocks = -(-num_tasks // _BLOCK)
    size = -(-num_tasks // blocks)
    dtype = params[0].dtype

    def draw(key: Array) -> Batch:
        if isinstance(tasks, LinearRegression):
            return tasks.sample_moments(key, size, dtype=dtype)
        if isinstance(tasks, BinaryClassification):
            return tasks.sample(key, size, dtype=dtype)
        return tasks.sample(key, size, None)

    def one(batch: Batch) -> tuple[Array, ...]:
        task = jax.tree.map(lambda x: x[None], batch)
        loss, grads = jax.value_and_grad(autodiff.outer_loss)(params, task, rule)
        return loss, *grads

    def block(total: Any, at: tuple[Array, Array]) -> tuple[Any, None]:
        """Add a block's count, means and squared deviations (Chan, Golub and LeVeque)."""
        key, start = at
        used = start + jnp.arange(size) < num_tasks
        count = jnp.sum(used).astype(params[0].dtype)
        before = total[0]

        def add(total: tuple[Array, Array], values: Array) -> tuple[Array, Array]:
            mean, squares = total
            values = jnp.where(used.reshape(-1, *[1] * mean.ndim), values, 0.0)
            here = values.sum(0) / count
            away = jnp.where(used.reshape(-1, *[1] * mean.ndim), values - here, 0.0)
            step = here - mean
            share = count / (before + count)
            return mean + step * share, squares + (away**2).sum(0) + step**2 * before * share

        values = jax.vmap(one)(draw(key))
        return (before + count, [*map(add, total[1], values)]), None

    zeros = [(jnp.zeros_like(x), jnp.zeros_like(x)) for x in (params[0][0, 0], *params)]
    starts = (jax.random.split(key, blocks), jnp.arange(blocks) * size)
    (_, found), _ = jax.lax.scan(block, (jnp.zeros_like(params[0][0, 0]), zeros), starts)
    spread = (jnp.sqrt(squares / (num_tasks - 1)) for _, squares in found)
    return [interval(mean, s, num_tasks) for (mean, _), s in zip(found, spread, strict=True)]


def _truth(tasks: _Ours, z: Array) -> Array:
    """The task parameters that standard normal rows stand for."""
    if isinstance(tasks, LinearRegression):
        return tasks.theta_of(z)
    return tasks.mean_std * z


@cache
def _sobol(size: int, dim: int) -> np.ndarray:
    """The first ``size`` points of the Sobol sequence, as integers below 2^30 (Joe and Kuo)."""
    from scipy.stats import qmc

    points = qmc.Sobol(dim, scramble=False, bits=_BITS).random(size)
    return np.round(points * 2**_BITS).astype(np.uint32)


def _shifted_sobol(
    key: PRNGKeyArray, size: int, dim: int, dtype: DTypeLike
) -> Float[Array, "size dim"]:
    """Sobol points under a random digital shift, as standard normal numbers.

    A point k stands for the middle of its cell, (k + 1/2) / 2^30. Near 1 that would round to 1 in
    float32; its mirror image is small, where floats are dense, and stands for minus the number.
    """
    shift = jax.random.bits(key, (dim,), jnp.uint32) >> (32 - _BITS)
    cell = jnp.asarray(_sobol(size, dim)) ^ shift
    upper = cell >= 2 ** (_BITS - 1)
    low = jnp.where(upper, 2**_BITS - 1 - cell, cell)
    z = jax.scipy.special.ndtri((low.astype(dtype) + 0.5) / 2.0**_BITS)
    return jnp.where(upper, -z, z)
