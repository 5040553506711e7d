"""The outer loss where no formula gives it: the exact inner loop, averaged over drawn tasks."""

from __future__ import annotations

from functools import cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from toylin import closed_form
from toylin._internal import checks
from toylin._internal.shapes import Array, Float, PRNGKeyArray
from toylin.models import Params
from toylin.rules import Rule, Tasks, check_problem
from toylin.tasks import Batch, LinearRegression, covariance_root

# Tasks come in this many independent groups: the replicates of quasi-Monte Carlo, and a bound on
# memory either way.
GROUPS = 16
_BITS = 30
METHODS = ("qmc", "mc")


class Estimate(NamedTuple):
    """A mean over drawn tasks, and the standard error of that mean."""

    mean: Float[Array, ""]
    stderr: Float[Array, ""]


def estimate(
    params: Params,
    tasks: Tasks,
    rule: Rule,
    key: PRNGKeyArray,
    num_tasks: int,
    method: str = "qmc",
) -> Estimate:
    """The expected outer loss, by the exact inner loop on drawn tasks, with its standard error.

    Support points are drawn (the population needs none); queries are scored on the population.

    Args:
        params: the start that all tasks share, (W_1, ..., W_L).
        tasks: the distribution of tasks.
        rule: the adaptation rule.
        key: a JAX random key.
        num_tasks: how many tasks, 16 times a power of two for "qmc", else a multiple of 16.
        method: "mc" draws task parameters independently. "qmc" takes them from 16 copies of a Sobol
            sequence, each shifted at random (a digital shift): each copy's mean is unbiased, and
            their spread gives the standard error, which falls faster than 1 / sqrt(num_tasks) where
            the loss is smooth in the parameters and the supports are the population.

    Returns:
        An ``Estimate``. It differentiates: ``jax.grad`` of its mean estimates the outer gradient.

    Raises:
        ValueError: an argument of the wrong kind, a bad number of tasks or an unknown method.

    >>> import toylin as tl
    >>> tasks, rule = tl.BinaryClassification(dim=3), tl.MAML(step_size=0.5)
    >>> start = tl.init(jax.random.key(0), widths=(3, 3, 1))
    >>> found = estimate(start, tasks, rule, jax.random.key(1), num_tasks=2**14)
    >>> bool(found.stderr < 1e-3 * found.mean)
    True
    """
    check_problem(params, tasks, rule)
    checks.integer("num_tasks", num_tasks, minimum=2 * GROUPS)
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    size, rest = divmod(num_tasks, GROUPS)
    if rest or (method == "qmc" and size & (size - 1)):
        wanted = "a power of two" if method == "qmc" else "a whole number"
        raise ValueError(
            f"num_tasks must be {GROUPS} times {wanted} for method {method!r}, got {num_tasks}"
        )
    return _estimate(tuple(params), tasks, rule, key, size, method)


@partial(jax.jit, static_argnames=("size", "method"))
def _estimate(
    params: Params, tasks: Tasks, rule: Rule, key: PRNGKeyArray, size: int, method: str
) -> Estimate:
    dtype = params[0].dtype

    def group(key: PRNGKeyArray) -> Array:
        key_truth, key_support = jax.random.split(key)
        if method == "qmc":
            z = _shifted_sobol(key_truth, size, tasks.dim).astype(dtype)
        else:
            z = jax.random.normal(key_truth, (size, tasks.dim), dtype)
        truth = _truth(tasks, z)
        support = tasks._points(key_support, truth, tasks.shots)
        batch = Batch(support, tasks.population(truth), truth)
        return closed_form.task_losses(params, batch, rule)

    losses = jax.lax.map(group, jax.random.split(key, GROUPS))
    independent = losses.mean(axis=1) if method == "qmc" else losses.ravel()
    return Estimate(losses.mean(), jnp.std(independent, ddof=1) / independent.size**0.5)


def _truth(tasks: Tasks, z: Array) -> Array:
    """The task parameters that standard normal rows stand for."""
    if isinstance(tasks, LinearRegression):
        root = covariance_root(tasks.theta_cov, tasks.dim, z.dtype)
        return jnp.asarray(tasks.theta_mean, z.dtype) + z @ root.T
    return tasks.mean_std * z


@cache
def _sobol(size: int, dim: int) -> np.ndarray:
    """The first ``size`` points of the Sobol sequence, as integers below 2^30 (Joe and Kuo)."""
    from scipy.stats import qmc

    points = qmc.Sobol(dim, scramble=False, bits=_BITS).random(size)
    return np.round(points * 2**_BITS).astype(np.uint32)


def _shifted_sobol(key: PRNGKeyArray, size: int, dim: int) -> Float[Array, "size dim"]:
    """Sobol points under a random digital shift, as standard normal numbers."""
    shift = jax.random.bits(key, (dim,), jnp.uint32) >> (32 - _BITS)
    uniform = ((jnp.asarray(_sobol(size, dim)) ^ shift) + 0.5) / 2.0**_BITS
    return jax.scipy.special.ndtri(uniform)
