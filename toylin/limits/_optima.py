"""How low an outer loss can go: for any learner (Bayes), and for the shallow model."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from toylin import closed_form
from toylin._internal import checks
from toylin._internal.dtypes import float_dtype
from toylin._internal.errors import NoClosedFormError
from toylin._internal.shapes import Array, Float
from toylin.models import Scalar
from toylin.quadrature import eigenvalue_rule
from toylin.rules import MAML, Rule
from toylin.tasks import LinearRegression, covariance_matrix

# Nodes of a trapezoidal rule, and how far into the tails it reaches: exp(-_TAIL) is left out.
_NODES = 4096
_TAIL = 45.0


def shallow_optimum(
    tasks: LinearRegression, dtype: DTypeLike | None = None
) -> tuple[Float[Array, "1 dim"]]:
    """The best start of the shallow model: the mean of theta, whatever the rule.

    What adaptation leaves of the error w - theta is a linear map of it that does not depend on w,
    and label noise has mean zero, so the outer loss is a quadratic around mu.
    """
    checks.instance("tasks", tasks, LinearRegression)
    mean = jnp.asarray(tasks.theta_mean, float_dtype(dtype))
    return (jnp.broadcast_to(mean, (1, tasks.dim)),)


def shallow_floor(
    tasks: LinearRegression, rule: Rule, dtype: DTypeLike | None = None
) -> Float[Array, ""]:
    """The lowest outer loss of the shallow model, with the label noise.

    Raises:
        ValueError: an argument of the wrong kind.
        NoClosedFormError: several steps on K shots in several dimensions.
    """
    return closed_form.outer_loss(shallow_optimum(tasks, dtype), tasks, rule)


def bayes_loss(tasks: LinearRegression, dtype: DTypeLike | None = None) -> Float[Array, ""]:
    """The lowest expected query loss of any learner that sees K support points.

    That of the posterior mean of theta (ridge regression with penalty sigma²/tau² on the summed
    half squared error): half the posterior variance of the query's output, plus the label noise,
    sigma²/2. The population gives theta away, so that the noise is what is left; so do, in one
    dimension, noiseless points.

    In one dimension, with a = sigma²/(2 s² tau²) and g ~ Gamma(K/2, 1), which 2 s² g = sum_k x_k²
    follows, it is s² tau² a E[1/(a + g)] / 2 + sigma²/2; the expectation is an integral over log g,
    where the trapezoidal rule converges exponentially. In several, where theta_cov and x_cov are
    numbers, it is s² tau² E tr (I + s² tau² Z'Z / sigma²)^-1 / 2 + sigma²/2, a sum over the
    eigenvalues of the Wishart matrix Z'Z (``wishart.eigenvalue_rule``).

    Args:
        tasks: the distribution of tasks.
        dtype: of the result; JAX's default float type if None.

    Raises:
        ValueError: ``tasks`` is no ``LinearRegression``.
        NoClosedFormError: K shots in several dimensions, and a covariance that is a matrix or more
            than 40 shots and dimensions.
    """
    checks.instance("tasks", tasks, LinearRegression)
    dtype = float_dtype(dtype)
    noise = jnp.asarray(tasks.noise_std, dtype) ** 2
    if tasks.shots is None:
        return noise / 2
    if tasks.dim > 1:
        return (_excess_in_dimensions(tasks, noise, dtype) + noise) / 2
    signal = (
        covariance_matrix(tasks.theta_cov, 1, dtype)[0, 0]
        * covariance_matrix(tasks.x_cov, 1, dtype)[0, 0]
    )
    noiseless = noise == 0
    a = jnp.where(noiseless, 1.0, noise) / (2 * signal)
    variance = jnp.where(noiseless, 0.0, signal * a * _mean_reciprocal(a, tasks.shots / 2))
    return (variance + noise) / 2


def _excess_in_dimensions(tasks: LinearRegression, noise: Array, dtype: np.dtype) -> Array:
    """The posterior variance of the query's output, for isotropic theta and x."""
    assert tasks.shots is not None
    if np.ndim(tasks.theta_cov) or np.ndim(tasks.x_cov) or min(tasks.dim, tasks.shots) > 40:
        raise NoClosedFormError(
            "the Bayes-optimal loss of K shots in several dimensions has a closed form where "
            "theta_cov and x_cov are numbers and min(dim, shots) <= 40; got "
            f"dim={tasks.dim}, shots={tasks.shots}, theta_cov of shape {np.shape(tasks.theta_cov)} "
            f"and x_cov of shape {np.shape(tasks.x_cov)}"
        )
    signal = jnp.asarray(tasks.theta_cov, dtype) * jnp.asarray(tasks.x_cov, dtype)
    nodes, weights = (jnp.asarray(a, dtype) for a in eigenvalue_rule(tasks.dim, tasks.shots))
    unseen = max(0, tasks.dim - tasks.shots)
    noiseless = noise == 0
    safe = jnp.where(noiseless, 1.0, noise)
    seen = jnp.where(noiseless, 0.0, weights @ (safe / (safe + signal * nodes)))
    return signal * (unseen + seen)


def _mean_reciprocal(a: Scalar, shape: float) -> Array:
    """E[1 / (a + g)] for g ~ Gamma(shape, 1) and a > 0."""
    # Below its peak exp(shape (u - exp(u) + 1)), u = log(g / shape), falls under exp(-_TAIL) at
    # u = -(c + sqrt(2 c)), c = _TAIL / shape; above, at sqrt(2 c). The reciprocal lets the lower
    # tail start at log(a) or, at worst, takes one from the shape.
    a = jnp.asarray(a)
    reach = _TAIL / shape
    high = math.log(shape) + math.sqrt(2 * reach)
    if shape >= 2:
        reach = _TAIL / (shape - 1)
        low = jnp.asarray(math.log(shape - 1) - reach - math.sqrt(2 * reach), a.dtype)
    else:
        low = jnp.minimum(
            math.log(shape) - reach - math.sqrt(2 * reach),
            jax.lax.stop_gradient(jnp.log(a)) - reach,
        )
    log_g = low + (high - low) * jnp.linspace(0.0, 1.0, _NODES, dtype=a.dtype)
    g = jnp.exp(log_g)
    log_density = shape * log_g - g - math.lgamma(shape)
    return jnp.sum(jnp.exp(log_density) / (a + g)) * (high - low) / (_NODES - 1)


def deep_optimum(
    tasks: LinearRegression, rule: MAML, depth: int = 2, dtype: DTypeLike | None = None
) -> tuple[Float[Array, "1 1"], ...]:
    """The best scalar start (0, b, ..., b), for any number of shots and any noise, at one step.

    With one zero weight and q the product of the others, the adapted product is alpha q² (S theta +
    n): the loss depends on c = alpha q² alone, and is lowest at
    c = 1 / (s² (1 + 2/K) + sigma² / (K E theta²)). In the population that is q² = 1/(alpha s²) and
    every task is learned exactly, whatever the mean of theta; for K shots the point is critical
    where theta has mean zero.

    Raises:
        ValueError: not one step of a positive size, a depth below 2, or several dimensions.
    """
    checks.instance("tasks", tasks, LinearRegression)
    checks.instance("rule", rule, MAML)
    checks.integer("depth", depth, minimum=2)
    size = checks.concrete("step_size", rule.step_size)
    if tasks.dim != 1 or rule.steps != 1 or (size is not None and not size > 0):
        raise ValueError(
            "deep_optimum needs dim=1, steps=1 and a positive step_size, got "
            f"dim={tasks.dim}, steps={rule.steps} and step_size={rule.step_size!r}"
        )
    dtype = float_dtype(dtype)
    q_square = _best_response(tasks, dtype) / jnp.asarray(rule.step_size, dtype)
    weight = q_square ** (0.5 / (depth - 1))
    return (jnp.zeros((1, 1), dtype), *[weight.reshape(1, 1)] * (depth - 1))


def deep_floor(tasks: LinearRegression, dtype: DTypeLike | None = None) -> Float[Array, ""]:
    """The loss at ``deep_optimum``, 1/2 s² E[theta²] (1 - c s²) + sigma²/2, whatever the depth.

    A shallow model with a meta-learned step size reaches the same value at mean zero: the upper
    layer is the meta-optimizer.
    """
    checks.instance("tasks", tasks, LinearRegression)
    if tasks.dim != 1:
        raise ValueError(f"deep_floor needs dim=1, got dim={tasks.dim}")
    dtype = float_dtype(dtype)
    spread, power, noise = _scalar_moments(tasks, dtype)
    return 0.5 * (spread * power * (1 - _best_response(tasks, dtype) * spread) + noise)


def _scalar_moments(tasks: LinearRegression, dtype: np.dtype) -> tuple[Array, Array, Array]:
    """s², E theta² and sigma²."""
    mean = jnp.asarray(tasks.theta_mean, dtype).reshape(())
    prior = covariance_matrix(tasks.theta_cov, 1, dtype)[0, 0]
    spread = covariance_matrix(tasks.x_cov, 1, dtype)[0, 0]
    return spread, mean**2 + prior, jnp.asarray(tasks.noise_std, dtype) ** 2


def _best_response(tasks: LinearRegression, dtype: np.dtype) -> Array:
    """The c that minimises E[s² (theta - c (S theta + n))²]."""
    spread, power, noise = _scalar_moments(tasks, dtype)
    per_shot = 0.0 if tasks.shots is None else 1 / tasks.shots
    return 1 / (spread * (1 + 2 * per_shot) + per_shot * noise / power)
