"""The shallow model in any dimension: the outer loss is a quadratic in the start, in closed form.

1/2 [(w - mu)' M (w - mu) + tr(M Lambda)] + constant, where M is the mean over supports of
A' Sigma A and A = (I - alpha S)^T is what T inner steps leave of an error.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from toylin.model import Scalar
from toylin.tasks import LinearRegression, covariance_matrix


def has_formula(tasks: LinearRegression, steps: int) -> bool:
    """In the population always; for K shots at one step (or none)."""
    return tasks.shots is None or steps <= 1


def _matrices(
    tasks: LinearRegression, step_size: Scalar, steps: int, dtype: np.dtype
) -> tuple[Array, Array, Array]:
    """M, the mean of Sigma A (what a first-order gradient sees in its place), and the constant."""
    sigma = covariance_matrix(tasks.x_cov, tasks.dim, dtype)
    noise = jnp.asarray(tasks.noise_std, dtype) ** 2
    identity = jnp.eye(tasks.dim, dtype=dtype)
    contraction = jnp.linalg.matrix_power(identity - step_size * sigma, steps)
    first = sigma @ contraction
    if tasks.shots is None or steps == 0:
        return contraction @ first, first, noise / 2
    square = sigma @ sigma
    trace = jnp.trace(square)
    # The second moment of a Wishart matrix: E S Sigma S = (1 + 1/K) Sigma^3 + tr(Sigma²) Sigma / K.
    wishart = (1 + 1 / tasks.shots) * square @ sigma + trace / tasks.shots * sigma
    mean = sigma - 2 * step_size * square + step_size**2 * wishart
    return mean, first, noise / 2 * (1 + step_size**2 * trace / tasks.shots)


def _error(w: Float[Array, "1 dim"], tasks: LinearRegression) -> Array:
    return w[0] - jnp.asarray(tasks.theta_mean, w.dtype)


def outer_loss(
    w: Float[Array, "1 dim"],
    tasks: LinearRegression,
    step_size: Scalar,
    steps: int,
    first_order: bool,
) -> Float[Array, ""]:
    """The expected post-adaptation loss.

    With ``first_order`` JAX sees the derivative in w that ``outer_grad`` has; the value and all
    other derivatives are the same.
    """
    mean, first, constant = _matrices(tasks, step_size, steps, w.dtype)
    prior = covariance_matrix(tasks.theta_cov, tasks.dim, w.dtype)
    error = _error(w, tasks)
    loss = 0.5 * (error @ mean @ error + jnp.sum(mean * prior)) + constant
    if first_order:
        missing = jax.lax.stop_gradient((first - mean) @ error)
        loss += missing @ (w[0] - jax.lax.stop_gradient(w[0]))
    return loss


def outer_grad(
    w: Float[Array, "1 dim"],
    tasks: LinearRegression,
    step_size: Scalar,
    steps: int,
    first_order: bool,
) -> Float[Array, "1 dim"]:
    """M (w - mu), or E[Sigma A] (w - mu) to first order."""
    mean, first, _ = _matrices(tasks, step_size, steps, w.dtype)
    return ((first if first_order else mean) @ _error(w, tasks))[None, :]
