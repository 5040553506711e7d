"""The lowest loss of any learner: that of the posterior mean."""

from __future__ import annotations

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from toylin._internal.dtypes import float_dtype
from toylin._internal.errors import NoClosedFormError
from toylin._internal.shapes import Array, Float
from toylin.models import Scalar
from toylin.quadrature import eigenvalue_rule
from toylin.tasks import LinearRegression, check_regression, covariance_matrix

# Nodes of a trapezoidal rule, and how far into the tails it reaches: exp(-_TAIL) is left out.
_NODES = 4096
_TAIL = 45.0


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
    eigenvalues of the Wishart matrix Z'Z (``quadrature.eigenvalue_rule``). Several outputs are
    independent in the eigenvectors of their covariance R, in which neither noise nor loss changes:
    a sum of problems of one output, with theta_cov times an eigenvalue of R.

    Args:
        tasks: the distribution of tasks.
        dtype: of the result; JAX's default float type if None.

    Raises:
        ValueError: ``tasks`` is no ``LinearRegression``.
        NoClosedFormError: K shots in several dimensions, and a covariance that is a matrix or more
            than 40 shots and dimensions.
    """
    check_regression(tasks)
    dtype = float_dtype(dtype)
    if tasks.shots is not None and tasks.dim > 1:
        _check_isotropic(tasks)
    if tasks.outputs == 1:
        return _loss(tasks, dtype)
    scales = jnp.linalg.eigvalsh(tasks.between_outputs(dtype))

    def along(scale: Array) -> Array:
        cov = scale * jnp.asarray(tasks.theta_cov, dtype)
        rest = (tasks.x_cov, tasks.noise_std, tasks.shots)
        return _loss(LinearRegression(tasks.dim, 0.0, cov, *rest), dtype)

    return jnp.sum(jax.vmap(along)(scales))


def _check_isotropic(tasks: LinearRegression) -> None:
    """Isotropic theta and x, and not too many nodes."""
    assert tasks.shots is not None
    if np.ndim(tasks.theta_cov) or np.ndim(tasks.x_cov) or min(tasks.dim, tasks.shots) > 40:
        raise NoClosedFormError(
            "the Bayes-optimal loss of K shots in several dimensions has a closed form where "
            "theta_cov and x_cov are numbers and min(dim, shots) <= 40; got "
            f"dim={tasks.dim}, shots={tasks.shots}, theta_cov of shape {np.shape(tasks.theta_cov)} "
            f"and x_cov of shape {np.shape(tasks.x_cov)}"
        )


@partial(jax.jit, static_argnames="dtype")
def _loss(tasks: LinearRegression, dtype: np.dtype) -> Array:
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
    high = math.sqrt(2 * reach)
    if shape >= 2:
        reach = _TAIL / (shape - 1)
        low = jnp.asarray(math.log1p(-1 / shape) - reach - math.sqrt(2 * reach), a.dtype)
    else:
        low = jnp.minimum(
            -reach - math.sqrt(2 * reach),
            jax.lax.stop_gradient(jnp.log(a)) - math.log(shape) - reach,
        )
    u = low + (high - low) * jnp.linspace(0.0, 1.0, _NODES, dtype=a.dtype)
    # Relative to the peak, and to the sum: the law's own constant is the exponential of K log K.
    density = jnp.exp(shape * (u - jnp.expm1(u)))
    return jnp.sum(density / (a + shape * jnp.exp(u))) / jnp.sum(density)
