"""How low an outer loss can go: for any learner (Bayes), and for the shallow model."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from toylin import _checks, closed_form
from toylin._dtypes import float_dtype
from toylin.errors import NoClosedFormError
from toylin.model import Scalar
from toylin.rules import Rule
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
    _checks.instance("tasks", tasks, LinearRegression)
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

    For one dimension: with a = sigma²/(2 s² tau²) and g ~ Gamma(K/2, 1), which 2 s² g = sum_k x_k²
    follows, it is s² tau² a E[1/(a + g)] / 2 + sigma²/2; the expectation is an integral over log g,
    where the trapezoidal rule converges exponentially.

    Args:
        tasks: the distribution of tasks.
        dtype: of the result; JAX's default float type if None.

    Raises:
        ValueError: ``tasks`` is no ``LinearRegression``.
        NoClosedFormError: K shots in several dimensions.
    """
    _checks.instance("tasks", tasks, LinearRegression)
    dtype = float_dtype(dtype)
    noise = jnp.asarray(tasks.noise_std, dtype) ** 2
    if tasks.shots is None:
        return noise / 2
    if tasks.dim > 1:
        raise NoClosedFormError(
            f"the Bayes-optimal loss has a closed form at dim=1 or in the population, not at "
            f"dim={tasks.dim} with shots={tasks.shots}"
        )
    signal = (
        covariance_matrix(tasks.theta_cov, 1, dtype)[0, 0]
        * covariance_matrix(tasks.x_cov, 1, dtype)[0, 0]
    )
    noiseless = noise == 0
    a = jnp.where(noiseless, 1.0, noise) / (2 * signal)
    variance = jnp.where(noiseless, 0.0, signal * a * _mean_reciprocal(a, tasks.shots / 2))
    return (variance + noise) / 2


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
