"""The best preconditioner of a shallow model's inner gradient, and the loss that it reaches."""

from __future__ import annotations

from typing import Literal, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from toylin._internal import checks
from toylin._internal.dtypes import float_dtype
from toylin._internal.errors import NoClosedFormError
from toylin._internal.shapes import Array, Float
from toylin._internal.showing import shown
from toylin.depth._best_product import best_product
from toylin.depth._spectrum import spectrum
from toylin.rules import MAML, MetaKFO, MetaSGD, Rule
from toylin.tasks import LinearRegression, check_regression, covariance_matrix, semidefinite_root

Kind = Literal["scalar", "diagonal", "kronecker", "full"]
_KINDS = ("scalar", "diagonal", "kronecker", "full")


@shown
class BestPreconditioner(NamedTuple):
    """What ``best_preconditioner`` returns.

    Attributes:
        matrix: P, shape (n, n), n = outputs * dim: the inner step is w <- w - P gradient, w in one
            vector, row by row.
        loss: the expected outer loss at w = theta_mean with it: the least of its kind.
        rule: the rule that has it: MAML, Meta-SGD, or Meta-KFO with L'L kron R'R = P. None for a
            full matrix of several outputs, which no rule here learns.
    """

    matrix: Float[Array, "n n"]
    loss: Float[Array, ""]
    rule: Rule | None


class _Quadratic(NamedTuple):
    """The loss as a function of P: 1/2 tr(sigma P curvature P') - tr(P slope) and a constant."""

    sigma: Array  # S = I kron Sigma
    prior: Array  # C = R kron Lambda
    system: Array  # the best P is prior system^-1
    slope: Array  # S C S
    sampled: Array  # the part of the curvature that a population does not have

    @property
    def curvature(self) -> Array:
        return self.slope + self.sampled

    def loss(self, matrix: Array) -> Array:
        """At P, without the query's noise: as a sum of squares, the rest of nearly equal terms."""
        missed = jnp.eye(len(matrix), dtype=matrix.dtype) - matrix @ self.sigma
        left = missed @ self.prior @ missed.T + matrix @ self.sampled @ matrix.T
        return 0.5 * jnp.sum(self.sigma * left)


def best_preconditioner(
    tasks: LinearRegression,
    kind: Kind = "full",
    steps: int = 1,
    dtype: DTypeLike | None = None,
) -> BestPreconditioner:
    """The best that a shallow linear regression model can do with a learned linear update.

    With start and preconditioner P both free the best start is mu. With S = I kron Sigma, C = R
    kron Lambda (Lambda for one output), t = tr(Sigma Lambda) and H = R kron [(1 + 1/K) Sigma Lambda
    Sigma + t Sigma / K] + sigma² S / K, the expected loss is then a quadratic in P,
    1/2 [tr(S C) - 2 tr(S P S C) + tr(S P H P')] + m sigma²/2.

    - ``"full"``: P = C S H^-1. On the eigenvector of R with the eigenvalue r it is
      [(1 + 1/K) Sigma + (t + sigma²/r)/K Lambda^-1]^-1; in the population Sigma^-1, which adapts
      exactly in one step, and stays there in any number of steps. K shots of tasks in a subspace
      (Lambda of lower rank) move the start in that subspace only: P has the rank of Lambda.
    - ``"kronecker"`` (Meta-KFO): the best A kron B, the search for which is over one number. With
      one output that is any matrix. With several it is the full one in the population, without
      noise, where R is a multiple of the identity, or Lambda of Sigma^-1; else it loses something.
      Needs concrete values where there are several outputs; cannot be differentiated.
    - ``"diagonal"`` (Meta-SGD): the quadratic restricted to diagonal P, a linear system.
    - ``"scalar"`` (MAML with its best step size): the quadratic restricted to multiples of I.

    Args:
        tasks: the distribution of tasks, of any number of outputs.
        kind: which matrices are allowed.
        steps: T, the number of inner steps.
        dtype: of the result; JAX's default float type if None.

    Returns:
        A ``BestPreconditioner``.

    Raises:
        ValueError: tasks of another kind, another ``kind``, no positive number of steps, or traced
            tasks where they must be concrete.
        NoClosedFormError: more than one step, other than ``"full"`` in the population.

    Source: the problem is that of Arnold, Iqbal and Sha, AISTATS 2021; the minimisers
    are ours.

    >>> print(f"{best_preconditioner(LinearRegression(shots=5)).loss:.4f}")  # 1/(K + 2)
    0.1429
    """
    check_regression(tasks)
    checks.integer("steps", steps, minimum=1)
    checks.choice("kind", kind, _KINDS)
    if steps > 1 and (kind not in ("full", "kronecker") or tasks.shots is not None):
        raise NoClosedFormError(
            f"the best {kind} preconditioner with shots={tasks.shots} has a closed form at "
            f"steps=1, not at steps={steps}; meta_train(*joint(loss, params), ...) learns it"
        )
    float_type = float_dtype(dtype)
    problem = _quadratic(tasks, float_type)
    outputs, dim = tasks.outputs, tasks.dim
    rule: Rule | None = None
    match kind:
        case "kronecker" if outputs > 1:
            left, right = (jnp.asarray(x, float_type) for x in _product(tasks))
            matrix = jnp.kron(left, right)
            rule = _meta_kfo(left, right, steps)
        case "full" | "kronecker":
            matrix = _full(tasks, problem)
            if outputs == 1:
                rule = _meta_kfo(jnp.ones((1, 1), float_type), matrix, steps)
        case "diagonal":
            slope = jnp.diag(problem.slope)
            # Where theta does not vary along an axis of x, nothing moves, and no size matters.
            idle = jnp.diag(jnp.where(slope == 0, 1.0, 0.0).astype(float_type))
            sizes = jnp.linalg.solve(problem.sigma * problem.curvature + idle, slope)
            matrix, rule = jnp.diag(sizes), MetaSGD((sizes.reshape(outputs, dim),), steps)
        case "scalar":
            size = jnp.trace(problem.slope) / jnp.sum(problem.sigma * problem.curvature)
            matrix = size * jnp.eye(outputs * dim, dtype=float_type)
            rule = MAML(size, steps)
    noise = outputs * jnp.asarray(tasks.noise_std, float_type) ** 2 / 2
    return BestPreconditioner(matrix, problem.loss(matrix) + noise, rule)


def _full(tasks: LinearRegression, problem: _Quadratic) -> Array:
    if tasks.shots is None:  # also where theta does not vary in all directions
        matrix = jnp.linalg.inv(problem.sigma)
    else:
        matrix = jnp.linalg.solve(problem.system.T, problem.prior).T
    return (matrix + matrix.T) / 2


def _quadratic(tasks: LinearRegression, dtype: np.dtype) -> _Quadratic:
    of_x = covariance_matrix(tasks.x_cov, tasks.dim, dtype)
    prior, rows = tasks.prior(dtype), tasks.between_outputs(dtype)
    sigma = jnp.kron(jnp.eye(tasks.outputs, dtype=dtype), of_x)
    noise = jnp.asarray(tasks.noise_std, dtype) ** 2
    total = jnp.sum(of_x * covariance_matrix(tasks.theta_cov, tasks.dim, dtype))
    inverse_shots = 0.0 if tasks.shots is None else 1 / tasks.shots
    spread = total * rows + noise * jnp.eye(tasks.outputs, dtype=dtype)
    spread = inverse_shots * jnp.kron(spread, jnp.eye(tasks.dim, dtype=dtype))
    # As C [S C + sampled S^-1]^-1, which needs no inverse of C or S.
    beyond = inverse_shots * sigma @ prior + spread
    system = sigma @ prior + beyond
    return _Quadratic(sigma, prior, system, sigma @ prior @ sigma, beyond @ sigma)


def _product(tasks: LinearRegression) -> tuple[np.ndarray, np.ndarray]:
    problem = spectrum(tasks)
    a, b = best_product(problem)
    return (problem.basis * a) @ problem.basis.T, (problem.frame * b) @ problem.frame.T


def _meta_kfo(left: Array, right: Array, steps: int) -> MetaKFO:
    pair = tuple(semidefinite_root(factor, len(factor)).T for factor in (left, right))
    return MetaKFO((pair,), 1.0, steps, psd=True)
