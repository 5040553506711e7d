"""The shallow model in any dimension: the outer loss is a quadratic in the start, in closed form.

With m outputs w and theta are m x d matrices, here in one vector, row by row; so are e = w - theta
and the noise moment n. The support's second moment acts on every row: I kron S, with mean
I kron Sigma. A rule that is a linear map of gradients moves e by -P ((I kron S) e - n) a step, P an
md x md matrix: alpha I for MAML, diagonal for Meta-SGD, a Kronecker product for Meta-KFO. T steps
leave (I - B) e, and the expected loss is 1/2 [c' M c + tr(M (R kron Lambda))] + constant, with
c = w - mu and M = E (I - B)' (I kron Sigma) (I - B).
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


def preconditioner(rule: Rule, outputs: int, dim: int, dtype: np.dtype) -> Float[Array, "n n"]:
    """P, the update of a shallow model's gradient, a vector of its rows, as a matrix, n = m d."""
    basis = jnp.eye(outputs * dim, dtype=dtype)
    return jax.vmap(lambda g: rule.update((g.reshape(outputs, dim),))[0].ravel())(basis).T


class _Moments(NamedTuple):
    """Means over supports. M = (I - moved)' sigma (I - moved) + spread."""

    sigma: Array  # I kron Sigma
    moved: Array  # E B
    spread: Array  # E B' sigma B - (E B)' sigma (E B): zero in the population
    constant: Array

    def quadratic(self) -> Array:
        remaining = jnp.eye(len(self.sigma), dtype=self.sigma.dtype) - self.moved
        return remaining.T @ self.sigma @ remaining + self.spread


def _moments(tasks: LinearRegression, rule: Rule, dtype: np.dtype) -> _Moments:
    outputs, dim = tasks.outputs, tasks.dim
    of_x = covariance_matrix(tasks.x_cov, dim, dtype)
    sigma = jnp.kron(jnp.eye(outputs, dtype=dtype), of_x)
    noise = jnp.asarray(tasks.noise_std, dtype) ** 2
    p = preconditioner(rule, outputs, dim, dtype)
    moved = _moved(p, sigma, rule)
    if tasks.shots is None or rule.steps == 0:
        return _Moments(sigma, moved, jnp.zeros_like(sigma), outputs * noise / 2)
    # Wishart moments, with B = P (I kron S): for every d x d block A of Q = P' sigma P it is
    # E S A S = Sigma A Sigma + (Sigma A' Sigma + tr(A Sigma) Sigma) / K; n has the covariance
    # noise I kron Sigma / K.
    inner = p.T @ sigma @ p
    blocks = inner.reshape(outputs, dim, outputs, dim)
    traces = jnp.einsum("iajb,ba->ij", blocks, of_x)
    turned = jnp.einsum("ab,icjb,cd->iajd", of_x, blocks, of_x)
    spread = (turned + jnp.einsum("ij,ab->iajb", traces, of_x)).reshape(sigma.shape) / tasks.shots
    trace = jnp.trace(traces)
    return _Moments(sigma, moved, spread, noise / 2 * (outputs + trace / tasks.shots))


def _moved(p: Array, sigma: Array, rule: Rule) -> Array:
    """B = I - (I - P Sigma)^T in the population, and E B = P Sigma for K shots at one step.

    To first order it is P sum_t Sigma (I - P Sigma)^t, of which only the first P is live.
    """
    contraction = jnp.eye(len(sigma), dtype=sigma.dtype) - p @ sigma
    if not rule.first_order:
        return jnp.eye(len(sigma), dtype=sigma.dtype) - jnp.linalg.matrix_power(
            contraction, rule.steps
        )

    def step(total: Array, _: None) -> tuple[Array, None]:
        return sigma + total @ contraction, None

    grads = jax.lax.scan(step, jnp.zeros_like(sigma), length=rule.steps)[0]
    return p @ jax.lax.stop_gradient(grads)


def _start(w: Float[Array, "outputs dim"], tasks: LinearRegression) -> Array:
    return (w - jnp.asarray(tasks.theta_mean, w.dtype)).ravel()


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
        matrix = moments.sigma @ (jnp.eye(start.size, dtype=w.dtype) - moments.moved)
    else:
        matrix = moments.quadratic()
    return _value(start, moments, tasks, rule), ((matrix @ start).reshape(w.shape),)


def _value(m: Array, moments: _Moments, tasks: LinearRegression, rule: Rule) -> Array:
    prior = tasks.prior(m.dtype)
    fixed = jax.lax.stop_gradient(m) if rule.first_order else m
    left = m - moments.moved @ fixed
    square = left @ moments.sigma @ left + fixed @ moments.spread @ fixed
    return 0.5 * (square + jnp.sum(moments.quadratic() * prior)) + moments.constant
