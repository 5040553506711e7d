"""The shallow model in any dimension: the outer loss is a quadratic in the start, in closed form.

A rule that is a linear map of gradients moves an error e = w - theta by -P (S e - n) a step, P a
d x d matrix: alpha I for MAML, diagonal for Meta-SGD, alpha R'R L'L for Meta-KFO. T steps leave
(I - B) e, and the expected loss is 1/2 [m' M m + tr(M Lambda)] + constant, with m = w - mu and
M = E (I - B)' Sigma (I - B).
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from toylin._internal.shapes import Array, Float
from toylin.models import Params
from toylin.rules import Reptile, Rule
from toylin.tasks import LinearRegression, covariance_matrix


def preconditioner(rule: Rule, dim: int, dtype: np.dtype) -> Float[Array, "dim dim"]:
    """P, the update of a shallow model's gradient as a matrix that multiplies it from the left."""
    rows = jax.vmap(lambda row: rule.update((row[None, :],))[0][0])(jnp.eye(dim, dtype=dtype))
    return rows.T


class _Moments(NamedTuple):
    """Means over supports. M = (I - moved)' Sigma (I - moved) + spread."""

    sigma: Array
    moved: Array  # E B
    spread: Array  # E B' Sigma B - (E B)' Sigma (E B): zero in the population
    constant: Array

    def quadratic(self) -> Array:
        remaining = jnp.eye(len(self.sigma), dtype=self.sigma.dtype) - self.moved
        return remaining.T @ self.sigma @ remaining + self.spread


def _moments(tasks: LinearRegression, rule: Rule, dtype: np.dtype) -> _Moments:
    sigma = covariance_matrix(tasks.x_cov, tasks.dim, dtype)
    noise = jnp.asarray(tasks.noise_std, dtype) ** 2
    p = preconditioner(rule, tasks.dim, dtype)
    moved = _moved(p, sigma, rule)
    if tasks.shots is None or rule.steps == 0:
        return _Moments(sigma, moved, jnp.zeros_like(sigma), noise / 2)
    # Wishart moments, with B = P S: E S Q S = (1 + 1/K) Sigma Q Sigma + tr(Q Sigma) Sigma / K for
    # Q = P' Sigma P, and E n n' = sigma² Sigma / K.
    inner = p.T @ sigma @ p
    trace = jnp.sum(inner * sigma)
    spread = (sigma @ inner @ sigma + trace * sigma) / tasks.shots
    return _Moments(sigma, moved, spread, noise / 2 * (1 + trace / tasks.shots))


def _moved(p: Array, sigma: Array, rule: Rule) -> Array:
    """B = I - (I - P Sigma)^T in the population, and E B = P Sigma for K shots at one step.

    To first order it is P sum_t Sigma (I - P Sigma)^t, of which only the first P is live.
    """
    contraction = jnp.eye(len(sigma), dtype=sigma.dtype) - p @ sigma
    if not rule.first_order:
        return jnp.eye(len(sigma), dtype=sigma.dtype) - jnp.linalg.matrix_power(
            contraction, rule.steps
        )
    contraction = jax.lax.stop_gradient(contraction)

    def step(total: Array, _: None) -> tuple[Array, None]:
        return sigma + total @ contraction, None

    grads = jax.lax.scan(step, jnp.zeros_like(sigma), length=rule.steps)[0]
    return p @ jax.lax.stop_gradient(grads)


def _start(w: Float[Array, "1 dim"], tasks: LinearRegression) -> Array:
    return w[0] - jnp.asarray(tasks.theta_mean, w.dtype)


def outer_loss(params: Params, tasks: LinearRegression, rule: Rule) -> Float[Array, ""]:
    """The expected post-adaptation loss."""
    (w,) = params
    return _value(_start(w, tasks), _moments(tasks, rule, w.dtype), tasks, rule)


def outer_value_and_grad(
    params: Params, tasks: LinearRegression, rule: Rule
) -> tuple[Float[Array, ""], Params]:
    """The loss, and M m; E[Sigma (I - B)] m to first order; E[B] m for Reptile."""
    (w,) = params
    start, moments = _start(w, tasks), _moments(tasks, rule, w.dtype)
    if isinstance(rule, Reptile):
        matrix = moments.moved
    elif rule.first_order:
        matrix = moments.sigma @ (jnp.eye(tasks.dim, dtype=w.dtype) - moments.moved)
    else:
        matrix = moments.quadratic()
    return _value(start, moments, tasks, rule), ((matrix @ start)[None, :],)


def _value(m: Array, moments: _Moments, tasks: LinearRegression, rule: Rule) -> Array:
    prior = covariance_matrix(tasks.theta_cov, tasks.dim, m.dtype)
    fixed = jax.lax.stop_gradient(m) if rule.first_order else m
    left = m - moments.moved @ fixed
    square = left @ moments.sigma @ left + fixed @ moments.spread @ fixed
    return 0.5 * (square + jnp.sum(moments.quadratic() * prior)) + moments.constant
