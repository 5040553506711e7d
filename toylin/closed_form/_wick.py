"""Two layers, one step, the population, any widths: the outer loss by Isserlis (Wick).

With V U = W the model, e = W - theta its error, S = Sigma and a = alpha, one step leaves the error

    e - a (V V' e S + e S U'U) + a² e D' e S,    D = W S.

In e = M + Z, Z a centred Gaussian of row covariance R and column covariance Lambda, that is a
constant, a map Z right - left Z S and a square a² Z D' Z S. Odd moments vanish, and left can be
taken with tr(left R) = 0, what it lacks going to right. Isserlis' theorem then gives the expected
square as a sum of squares: of the mean, of the linear part (two, without a cross term) and of the
square about its mean (two). All are products of matrices, where a cubature has 3^(m d) nodes, and
none cancels another, so that small losses keep their digits.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp

from toylin._internal.shapes import Array, Float
from toylin.models import Params, Scalar
from toylin.tasks import LinearRegression, covariance_matrix


class _Step(NamedTuple):
    """What one step makes of the error. In names: ``d`` is D, ``start`` M, ``crossed`` M D'."""

    sigma: Array
    prior: Array  # Lambda
    rows: Array  # R
    size: Array  # tr R
    cubic: Array  # tr(Sigma³ Lambda)
    start: Array
    d: Array
    crossed: Array
    left: Array
    right: Array
    shift: Array  # a² R D Lambda: the square has the mean shift Sigma
    mean: Array  # of the error that is left


def _step(params: Params, tasks: LinearRegression, step_size: Scalar) -> _Step:
    u, v = params
    dtype = u.dtype
    sigma = covariance_matrix(tasks.x_cov, tasks.dim, dtype)
    prior = covariance_matrix(tasks.theta_cov, tasks.dim, dtype)
    rows = tasks.between_outputs(dtype)
    size = jnp.trace(rows)
    w = v @ u
    start = w - jnp.asarray(tasks.theta_mean, dtype)
    d = w @ sigma
    crossed = start @ d.T
    left = step_size * (v @ v.T - step_size * crossed)
    common = jnp.sum(left * rows) / size
    left -= common * jnp.eye(len(rows), dtype=dtype)
    right = jnp.eye(tasks.dim, dtype=dtype) - common * sigma
    right += step_size * (step_size * d.T @ (start @ sigma) - sigma @ u.T @ u)
    shift = step_size**2 * rows @ d @ prior
    mean = start @ right + (shift - left @ start - step_size**2 * crossed @ start) @ sigma
    cubic = jnp.sum((sigma @ sigma) * (sigma @ prior))
    return _Step(sigma, prior, rows, size, cubic, start, d, crossed, left, right, shift, mean)


def outer_loss(params: Params, tasks: LinearRegression, step_size: Scalar) -> Float[Array, ""]:
    """The expected post-adaptation loss."""
    return _value(_step(params, tasks, step_size), tasks, step_size)


def outer_value_and_grad(
    params: Params, tasks: LinearRegression, step_size: Scalar, first_order: bool
) -> tuple[Float[Array, ""], Params]:
    """The loss, and its gradient by the same moments: to first order, what the rule follows."""
    step = _step(params, tasks, step_size)
    grad = _first_order if first_order else _grad
    return _value(step, tasks, step_size), grad(params, step, step_size)


def _value(step: _Step, tasks: LinearRegression, step_size: Scalar) -> Array:
    sigma, shifted = step.sigma, step.shift @ step.sigma
    squares = jnp.sum(step.mean @ sigma * step.mean) + jnp.sum(shifted @ sigma * shifted)
    squares += step.size * jnp.sum((step.prior @ step.right) * (step.right @ sigma))
    spread = step.size * step_size**2 * jnp.sum(step.shift * step.d)
    squares += step.cubic * (jnp.sum(step.left @ step.rows * step.left) + spread)
    noise = jnp.asarray(tasks.noise_std, sigma.dtype) ** 2
    return 0.5 * (squares + tasks.outputs * noise)


def _grad(params: Params, step: _Step, step_size: Scalar) -> Params:
    """Back through ``_value`` and ``_step``, line by line; g_x is the derivative in x."""
    sigma, prior, rows, size, cubic, start, d, crossed, left, right, shift, mean = step
    square = step_size**2
    g_mean = mean @ sigma
    pulled = g_mean @ sigma
    g_right = size * prior @ right @ sigma + start.T @ g_mean
    g_left = cubic * left @ rows - pulled @ start.T
    g_common = -jnp.trace(g_left) - jnp.sum(g_right * sigma)
    g_left += g_common / size * rows  # now in a V V' - a² M D'
    g_crossed = -square * (g_left + pulled @ start.T)
    g_d = square * (rows @ (shift @ sigma @ sigma @ sigma + pulled) @ prior + size * cubic * shift)
    g_d += square * start @ sigma @ g_right.T + g_crossed.T @ start
    g_start = g_mean @ right.T - (left + square * crossed).T @ pulled
    g_start += square * d @ g_right @ sigma + g_crossed @ d
    g_w = g_start + g_d @ sigma
    g_inner = -step_size * sigma @ g_right  # in U'U

    u, v = params
    return u @ (g_inner + g_inner.T) + v.T @ g_w, step_size * (g_left + g_left.T) @ v + g_w @ u.T


def _first_order(params: Params, step: _Step, step_size: Scalar) -> Params:
    """The mean of the gradient at the adapted parameters."""
    u, v = params
    sigma, square = step.sigma, step.sigma @ step.sigma
    below = step.start.T @ step.mean + step.size * step.prior @ step.right  # E e' (error left)
    above = step.mean @ square @ step.start.T - step.cubic * step.left @ step.rows
    above += jnp.sum(step.right * (step.prior @ square)) * step.rows
    g_u = (v.T @ step.mean - step_size * u @ sigma @ below) @ sigma
    return g_u, step.mean @ sigma @ u.T - step_size * above @ v
