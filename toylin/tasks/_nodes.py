"""The law of the tasks as finitely many weighted ones that give the same expected outer loss.

After T inner steps the loss of a linear model is a polynomial in everything random, so that a Gauss
rule with enough nodes *is* the expectation. How many are enough follows from depth and steps.
"""

from __future__ import annotations

import itertools

import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from toylin._internal import checks
from toylin._internal.dtypes import float_dtype
from toylin._internal.errors import NoClosedFormError
from toylin._internal.pytree import recheck
from toylin._internal.shapes import Array, Float
from toylin.quadrature import gauss_gamma, gauss_normal, nodes_for_degree
from toylin.tasks._batch import Batch
from toylin.tasks._binary_classification import BinaryClassification
from toylin.tasks._covariance import covariance_matrix
from toylin.tasks._linear_regression import LinearRegression
from toylin.tasks._regression_data import RegressionMoments

MAX_NODES = 1_000_000
MAX_IN_ONE = 5_000  # of a rule in one number, which takes their cube in time: ten seconds
_MANY = 10**12


def loss_degrees(depth: int, steps: int) -> tuple[int, int]:
    """Degrees of the post-adaptation loss in theta (jointly with n) and in the second moment S.

    An inner step multiplies the gradient S (p - theta) - n, p the product of the L weights, by
    L - 1 weights. A weight has degree 0 before and 1 after the first step; after that p has L times
    its degree D, and the next D is L D + (L - 1) D. In S one more is added every step. The loss is
    quadratic in the last p and in theta. Degrees above 10^12, which none serves, are given as that.
    """
    if steps == 0:
        return 2, 0
    base = 2 * depth - 1
    many = steps if depth == 1 else min(steps, 64)
    theta = base ** (many - 1)
    second_moment = steps if depth == 1 else (base**many - 1) // (base - 1)
    return min(2 * depth * theta, _MANY), min(2 * depth * second_moment, _MANY)


def count_nodes(tasks: LinearRegression, depth: int, steps: int) -> int:
    """How many nodes make the expectation exact; fewer, but too many, in over 64 dimensions."""
    in_theta, in_s = (nodes_for_degree(degree) for degree in loss_degrees(depth, steps))
    # More numbers in theta than 64 are as far beyond ``MAX_NODES``.
    return in_theta ** min(tasks.dim * tasks.outputs, 64) * (1 if tasks.shots is None else in_s)


def too_many_nodes(tasks: LinearRegression, depth: int, steps: int) -> str:
    """What is too much for an exact expectation, in words; nothing where there are nodes."""
    nodes = count_nodes(tasks, depth, steps)
    if nodes > MAX_NODES:
        return f"{min(nodes, 10**300):.3g} nodes, more than MAX_NODES = {MAX_NODES}"
    used = loss_degrees(depth, steps)[: 1 if tasks.shots is None else 2]
    longest = max(nodes_for_degree(degree) for degree in used)
    if longest > MAX_IN_ONE:
        return f"{longest} nodes in one number, more than {MAX_IN_ONE}"
    return ""


def quadrature_batch(
    tasks: LinearRegression | BinaryClassification,
    depth: int,
    steps: int,
    dtype: DTypeLike | None = None,
) -> Batch:
    """A weighted ``Batch`` over which the mean outer loss equals its expectation, exactly.

    In the population: tensor Gauss-Hermite nodes for theta, in any dimension and of any number of
    outputs. For K shots, in one dimension and of one output: the support enters through its second
    moment S ~ x_cov chi²_K / K and its noise moment n only, and those two through S and the
    least-squares estimate t = theta + n/S only. Given S, t is N(mu, tau² + sigma²/(K S)), and given
    t, theta is Gaussian with a known mean (the query's ``theta`` here) and a known variance (in the
    query's ``ee``). Expectations over t stay polynomials in S, so that a two-dimensional rule,
    Hermite by generalised Laguerre, is exact.

    Args:
        tasks: the distribution of tasks.
        depth: L, the number of layers of the model.
        steps: T, the number of inner steps.
        dtype: of the nodes; JAX's default float type if None.

    Returns:
        A ``Batch`` of ``RegressionMoments`` with ``log_weight`` set. Its length is
        ``count_nodes(tasks, depth, steps)``.

    Raises:
        NoClosedFormError: K shots in several dimensions or of several outputs, or tasks that are no
            linear regression.
        ValueError: more than ``MAX_NODES`` nodes would be needed, or ``MAX_IN_ONE`` in one number.

    >>> nodes = quadrature_batch(LinearRegression(), depth=2, steps=1)
    >>> [f"{theta:.3f}" for theta in nodes.truth[:, 0]]
    ['-1.732', '0.000', '1.732']
    """
    check_nodes(tasks, depth, steps)
    assert isinstance(tasks, LinearRegression)
    build = _population if tasks.shots is None else _few_shots
    return build(tasks, *loss_degrees(depth, steps), float_dtype(dtype))


def check_nodes(tasks: LinearRegression | BinaryClassification, depth: int, steps: int) -> None:
    """Raise what ``quadrature_batch`` raises where there are no exact nodes, or too many."""
    checks.integer("depth", depth, minimum=1)
    checks.integer("steps", steps, minimum=0)
    if not isinstance(tasks, LinearRegression):
        raise NoClosedFormError(
            f"exact nodes exist for LinearRegression, not for {type(tasks).__name__}; "
            "sample tasks instead: autodiff.outer_loss(params, tasks.sample(key, num_tasks), rule)"
        )
    recheck("tasks", tasks)
    if tasks.shots is not None and tasks.dim * tasks.outputs > 1:
        raise NoClosedFormError(
            f"exact nodes for {tasks.shots} shots exist for dim=1 and outputs=1, not for "
            f"dim={tasks.dim} and outputs={tasks.outputs} with depth={depth} and steps={steps}; "
            "sample tasks instead: autodiff.outer_loss(params, tasks.sample(key, num_tasks), rule)"
        )
    if wanted := too_many_nodes(tasks, depth, steps):
        raise ValueError(
            f"an exact expectation at dim={tasks.dim}, outputs={tasks.outputs}, depth={depth}, "
            f"steps={steps} needs {wanted}; sample tasks instead: "
            "autodiff.outer_loss(params, tasks.sample(key, num_tasks), rule)"
        )


def _population(tasks: LinearRegression, degree: int, _degree_in_s: int, dtype: np.dtype) -> Batch:
    z, log_weight = gauss_normal(nodes_for_degree(degree))
    numbers = tasks.dim * tasks.outputs
    grid = np.array(list(itertools.product(z, repeat=numbers)))
    weights = np.array(list(itertools.product(log_weight, repeat=numbers))).sum(1)
    theta = tasks.theta_of(jnp.asarray(grid, dtype))
    moments = tasks.population(theta)
    return Batch(moments, moments, theta, jnp.asarray(weights, dtype))


def _few_shots(tasks: LinearRegression, degree: int, degree_in_s: int, dtype: np.dtype) -> Batch:
    assert tasks.shots is not None
    z, z_weight = gauss_normal(nodes_for_degree(degree))
    g, g_weight = gauss_gamma(nodes_for_degree(degree_in_s), tasks.shots / 2)
    z_grid, g_grid = (jnp.asarray(a.ravel(), dtype) for a in np.meshgrid(z, g))
    log_weight = jnp.asarray(np.add.outer(g_weight, z_weight).ravel(), dtype)

    spread = covariance_matrix(tasks.x_cov, 1, dtype)[0, 0]
    second_moment = 2 * spread / tasks.shots * g_grid
    return Batch(
        *estimate_and_posterior(tasks, second_moment, z_grid, dtype),
        truth=jnp.full((z_grid.size, 1), jnp.nan, dtype),
        log_weight=log_weight,
    )


def estimate_and_posterior(
    tasks: LinearRegression,
    second_moment: Float[Array, " nodes"],
    z: Float[Array, " nodes"],
    dtype: np.dtype,
    per_shot: Float[Array, ""] | None = None,
) -> tuple[RegressionMoments, RegressionMoments]:
    """Support and query of a scalar K-shot task given S and the standardised estimate z.

    ``per_shot`` is 1/K where K is not that of ``tasks``; 0 is the population.

    The least-squares estimate is t = mu + sqrt(tau² + v) z with v = sigma²/(K S). The query's loss
    is the expectation over theta | t ~ N(mu + tau² z / sqrt(tau² + v), tau² v / (tau² + v)).
    """
    if per_shot is None:
        assert tasks.shots is not None
        per_shot = jnp.asarray(1 / tasks.shots, dtype)
    prior = covariance_matrix(tasks.theta_cov, 1, dtype)[0, 0]
    spread = covariance_matrix(tasks.x_cov, 1, dtype)[0, 0]
    mean = jnp.broadcast_to(jnp.asarray(tasks.theta_mean, dtype), (1,))[0]
    noise = jnp.asarray(tasks.noise_std, dtype) ** 2
    error = noise * per_shot / second_moment
    std = jnp.sqrt(prior + error)
    zero = jnp.zeros((z.size, 1), dtype)
    support = RegressionMoments(
        xx=second_moment[:, None, None],
        theta=(mean + std * z)[:, None],
        xe=zero,
        ee=noise * (1 - per_shot) * jnp.ones_like(z),
    )
    query = RegressionMoments(
        xx=jnp.broadcast_to(spread, (z.size, 1, 1)),
        theta=(mean + prior / std * z)[:, None],
        xe=zero,
        ee=noise + spread * prior * error / (prior + error),
    )
    return support, query
