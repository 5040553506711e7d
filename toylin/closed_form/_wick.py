"""Two layers, one step, the population, any dimension: the outer loss by Isserlis (Wick).

With e = w - theta, one step turns the error e into r = A e + (b.e) Sigma e, where A = I - alpha P
Sigma, P = |W_2|² I + W_1' W_1 and b = alpha² Sigma w. As e ~ N(w - mu, Lambda), E r' Sigma r is a
sum of Gaussian moments of degree two to four: a few matrix products, where a cubature has 3^d
nodes.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp

from toylin._internal.shapes import Array, Float
from toylin.models import Params, Scalar
from toylin.tasks import LinearRegression, covariance_matrix


class _Problem(NamedTuple):
    """What the moments need: epsilon = E e, C = E e e', and X = E (b.e) e e'."""

    epsilon: Array
    sigma: Array
    prior: Array
    a: Array
    b: Array
    second: Array
    third: Array


def _problem(params: Params, tasks: LinearRegression, step_size: Scalar) -> _Problem:
    first, (v,) = params
    dtype = first.dtype
    sigma = covariance_matrix(tasks.x_cov, tasks.dim, dtype)
    prior = covariance_matrix(tasks.theta_cov, tasks.dim, dtype)
    identity = jnp.eye(tasks.dim, dtype=dtype)
    w = v @ first
    epsilon = w - jnp.asarray(tasks.theta_mean, dtype)
    a = identity - step_size * (v @ v * sigma + first.T @ (first @ sigma))
    b = step_size**2 * sigma @ w
    second = jnp.outer(epsilon, epsilon) + prior
    cross = jnp.outer(prior @ b, epsilon)
    return _Problem(epsilon, sigma, prior, a, b, second, b @ epsilon * second + cross + cross.T)


def outer_loss(params: Params, tasks: LinearRegression, step_size: Scalar) -> Float[Array, ""]:
    """The expected post-adaptation loss."""
    return _value(_problem(params, tasks, step_size), tasks)


def outer_value_and_grad(
    params: Params, tasks: LinearRegression, step_size: Scalar, first_order: bool
) -> tuple[Float[Array, ""], Params]:
    """The loss, and its gradient by the same moments: to first order, what the rule follows."""
    problem = _problem(params, tasks, step_size)
    grad = _first_order if first_order else _grad
    return _value(problem, tasks), grad(params, problem, step_size)


def _value(problem: _Problem, tasks: LinearRegression) -> Array:
    epsilon, sigma, prior, a, b, second, third = problem
    square = sigma @ sigma
    cube = square @ sigma
    linear = jnp.sum((a.T @ sigma @ a) * second)
    mixed = jnp.sum((square @ a) * third)
    # E (b.e)² e' Sigma³ e, from the pairings of four Gaussian factors and their means.
    lb, mean = prior @ b, b @ epsilon
    quartic = (
        (mean**2 + b @ lb) * jnp.sum(cube * second)
        + 4 * mean * (epsilon @ cube @ lb)
        + 2 * (lb @ cube @ lb)
    )
    noise = jnp.asarray(tasks.noise_std, sigma.dtype) ** 2
    return 0.5 * (linear + 2 * mixed + quartic + noise)


def _grad(params: Params, problem: _Problem, step_size: Scalar) -> Params:
    epsilon, sigma, prior, a, b, second, third = problem
    square = sigma @ sigma
    cube = square @ sigma
    lb, mean = prior @ b, b @ epsilon
    quadratic = 0.5 * (square @ a + a.T @ square)
    mixed, total = jnp.sum(quadratic * second), jnp.sum(cube * second)
    along, quartic = epsilon @ cube @ lb, mean**2 + b @ lb

    g_epsilon = (a.T @ sigma @ a) @ epsilon
    g_epsilon += mixed * b + 2 * mean * (quadratic @ epsilon) + 2 * quadratic @ lb
    g_epsilon += (mean * total + 2 * along) * b + quartic * (cube @ epsilon)
    g_epsilon += 2 * mean * (cube @ lb)
    g_b = mixed * epsilon + 2 * prior @ (quadratic @ epsilon)
    g_b += (mean * total + 2 * along) * epsilon + total * lb
    g_b += 2 * prior @ (cube @ (mean * epsilon + lb))
    g_p = -step_size * (sigma @ a @ second + square @ third) @ sigma

    first, (v,) = params
    g_w = g_epsilon + step_size**2 * sigma @ g_b
    g_first = first @ (g_p + g_p.T) + jnp.outer(v, g_w)
    return g_first, (2 * jnp.trace(g_p) * v + first @ g_w)[None, :]


def _first_order(params: Params, problem: _Problem, step_size: Scalar) -> Params:
    """The mean of the gradient at the adapted parameters."""
    epsilon, sigma, prior, a, b, second, third = problem
    first, (v,) = params
    mean_error = a @ epsilon + sigma @ (b @ epsilon * epsilon + prior @ b)
    start_end = second @ a.T + third @ sigma  # E e r'
    g_first = jnp.outer(v, mean_error) - step_size * first @ sigma @ start_end
    g_last = first @ sigma @ mean_error - step_size * jnp.sum(sigma @ sigma * start_end.T) * v
    return g_first @ sigma, g_last[None, :]
