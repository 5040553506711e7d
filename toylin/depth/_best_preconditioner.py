"""The best preconditioner of a shallow model's inner gradient, and the loss that it reaches."""

from __future__ import annotations

from typing import Literal, NamedTuple

import jax.numpy as jnp
from jax.typing import DTypeLike

from toylin._internal import checks
from toylin._internal.dtypes import float_dtype
from toylin._internal.errors import NoClosedFormError
from toylin._internal.shapes import Array, Float
from toylin._internal.showing import shown
from toylin.rules import MAML, MetaKFO, MetaSGD, Rule
from toylin.tasks import (
    LinearRegression,
    check_one_output,
    covariance_matrix,
    semidefinite_root,
)

Kind = Literal["scalar", "diagonal", "full"]
_KINDS = ("scalar", "diagonal", "full")


@shown
class BestPreconditioner(NamedTuple):
    """What ``best_preconditioner`` returns.

    Attributes:
        matrix: P, shape (dim, dim): the inner step is w <- w - P gradient.
        loss: the expected outer loss at w = theta_mean with it: the least of its kind.
        rule: the rule that has it: MAML, Meta-SGD, or Meta-KFO with L = 1 and R'R = P.
    """

    matrix: Float[Array, "dim dim"]
    loss: Float[Array, ""]
    rule: Rule


def best_preconditioner(
    tasks: LinearRegression,
    kind: Kind = "full",
    steps: int = 1,
    dtype: DTypeLike | None = None,
) -> BestPreconditioner:
    """The best that a shallow linear regression model can do with a learned linear update.

    With start and preconditioner P both free the best start is mu, and the expected loss is
    1/2 [tr(Sigma Lambda) - 2 tr(Sigma P Sigma Lambda) + (1 + 1/K) tr(P' Sigma P Sigma Lambda Sigma)
    + c tr(P' Sigma P Sigma)] + sigma²/2, c = (tr(Sigma Lambda) + sigma²) / K: a quadratic in P.

    - ``"full"`` (Meta-KFO: one output, so that R kron L is any positive definite matrix):
      P = [(1 + 1/K) Sigma + c Lambda^{-1}]^{-1}; in the population Sigma^{-1}, which adapts
      exactly in one step, and stays there in any number of steps. K shots of tasks in a subspace
      (Lambda of lower rank) move the start in that subspace only: P has the rank of Lambda.
    - ``"diagonal"`` (Meta-SGD): the quadratic restricted to diagonal P, a d x d linear system.
    - ``"scalar"`` (MAML with its best step size): the quadratic restricted to multiples of I.

    Args:
        tasks: the distribution of tasks.
        kind: which matrices are allowed.
        steps: T, the number of inner steps.
        dtype: of the result; JAX's default float type if None.

    Returns:
        A ``BestPreconditioner``.

    Raises:
        ValueError: tasks of another kind, another ``kind``, or no positive number of steps.
        NoClosedFormError: more than one step, other than ``"full"`` in the population.

    Source: the problem is that of Arnold, Iqbal and Sha, AISTATS 2021; the minimisers
    are ours.

    >>> print(f"{best_preconditioner(LinearRegression(shots=5)).loss:.4f}")  # 1/(K + 2)
    0.1429
    """
    check_one_output(tasks)
    checks.integer("steps", steps, minimum=1)
    checks.choice("kind", kind, _KINDS)
    if steps > 1 and (kind != "full" or tasks.shots is not None):
        raise NoClosedFormError(
            f"the best {kind} preconditioner with shots={tasks.shots} has a closed form at "
            f"steps=1, not at steps={steps}; meta_train(*joint(loss, params), ...) learns it"
        )
    float_type = float_dtype(dtype)
    sigma = covariance_matrix(tasks.x_cov, tasks.dim, float_type)
    prior = covariance_matrix(tasks.theta_cov, tasks.dim, float_type)
    noise = jnp.asarray(tasks.noise_std, float_type) ** 2
    total = jnp.sum(sigma * prior)
    inverse_shots = 0.0 if tasks.shots is None else 1 / tasks.shots
    spread = (total + noise) * inverse_shots
    slope = sigma @ prior @ sigma
    curvature = (1 + inverse_shots) * slope + spread * sigma

    match kind:
        case "full":
            matrix = _full(tasks, sigma, prior, spread)
            right = semidefinite_root(matrix, tasks.dim).T
            one = jnp.ones((1, 1), float_type)
            rule: Rule = MetaKFO(((one, right),), 1.0, steps, psd=True)
        case "diagonal":
            # Where theta does not vary along an axis of x, nothing moves, and no size matters.
            idle = jnp.diag(jnp.where(jnp.diag(slope) == 0, 1.0, 0.0).astype(float_type))
            sizes = jnp.linalg.solve(sigma * curvature + idle, jnp.diag(slope))
            matrix, rule = jnp.diag(sizes), MetaSGD((sizes[None, :],), steps)
        case "scalar":
            size = jnp.trace(slope) / jnp.sum(sigma * curvature)
            matrix, rule = size * jnp.eye(tasks.dim, dtype=float_type), MAML(size, steps)
    loss = 0.5 * (total - jnp.sum(matrix * slope)) + noise / 2
    return BestPreconditioner(matrix, loss, rule)


def _full(tasks: LinearRegression, sigma: Array, prior: Array, spread: Array) -> Array:
    """Lambda [(1 + 1/K) Sigma Lambda + c I]^{-1}, which needs no inverse of Lambda."""
    if tasks.shots is None:
        matrix = jnp.linalg.inv(sigma)
    else:
        system = (1 + 1 / tasks.shots) * sigma @ prior + spread * jnp.eye(tasks.dim)
        matrix = jnp.linalg.solve(system.T, prior).T
    return (matrix + matrix.T) / 2
